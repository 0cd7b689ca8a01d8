"use strict";

const messages = document.querySelector("#messages");
const page = document.querySelector("main");
const state = document.querySelector("#state");
const form = document.querySelector("#say");
const problem = document.querySelector("#problem");
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const { name: nameField, text: textField } = form.elements;
nameField.value = localStorage.getItem("name") ?? "";
(nameField.value ? textField : nameField).focus();

function show(what, text) {
  state.dataset.state = what;
  state.textContent = text;
}

/* A colour for each name, always the same. */
function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

let lastId = 0;

function add({ id, name, text }) {
  if (id <= lastId) return;
  lastId = id;
  const said = new Date(id / 1000);
  const item = document.createElement("li");
  const last = messages.lastElementChild;
  item.dataset.name = name;
  item.style.setProperty("--hue", hue(name));
  item.classList.toggle("mine", name === nameField.value.trim());
  item.classList.toggle("same", last?.dataset.name === name);
  item.classList.toggle("new", Date.now() - said < 5000);

  const by = element("div", "by", "");
  const when = element("time", "", time.format(said));
  when.dateTime = said.toISOString();
  by.append(element("b", "", name), when);
  item.append(by, element("p", "said", text));

  const atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 80;
  messages.append(item);
  document.querySelector("#empty").hidden = true;
  if (atEnd) page.scrollTop = page.scrollHeight;
}

function listen() {
  const events = new EventSource("/events");
  const patience = setTimeout(() => {
    // The server tells at once how many there are: something on the way keeps the stream.
    events.close();
    ask();
  }, 5000);
  events.onmessage = (event) => add(JSON.parse(event.data));
  events.addEventListener("people", ({ data }) => {
    clearTimeout(patience);
    show("on", data === "1" ? "only you" : `${data} here`);
  });
  events.onerror = () => show("off", "connecting …"); // it tries again by itself
}

/* Without a stream: each question is answered when somebody has said something.  In silence it is
   asked anew before a proxy gives up, which is after a minute as a rule. */
async function ask() {
  for (;;) {
    try {
      const patience = AbortSignal.timeout(25_000);
      const answer = await fetch(`/next?after=${lastId}`, { signal: patience });
      if (!answer.ok) throw new Error(answer.statusText);
      (await answer.json()).forEach(add);
      show("on", "connected");
    } catch (error) {
      if (error.name === "TimeoutError") continue;
      show("off", "connecting …");
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

if (new URLSearchParams(location.search).has("ask")) ask();
else listen();

form.onsubmit = async (submitted) => {
  submitted.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  const button = form.querySelector("button");
  localStorage.setItem("name", nameField.value.trim());
  button.disabled = true;
  try {
    const answer = await fetch("/messages", { method: "POST", body });
    if (!answer.ok) throw new Error(await answer.text());
    textField.value = "";
    problem.hidden = true;
  } catch (error) {
    problem.textContent = `That was not sent: ${error.message}`;
    problem.hidden = false;
  } finally {
    button.disabled = false;
    textField.focus();
  }
};
