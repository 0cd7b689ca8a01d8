"use strict";

const drop = document.querySelector("#drop");
const going = document.querySelector("#going");
const uploads = going.querySelector("ul");
const list = document.querySelector("#files");
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const place = (name) => "/files/" + encodeURIComponent(name);
const say = (text) => { document.querySelector("#said").textContent = text; };

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < 3; unit++) bytes /= 1024;
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function copy(id) {
  return document.querySelector(id).content.firstElementChild.cloneNode(true);
}

async function refresh() {
  const { files, limit } = await (await fetch("/files")).json();
  document.querySelector("#limit").textContent = `Each up to ${size(limit)}.`;
  document.querySelector("#none").hidden = files.length > 0;
  list.replaceChildren(...files.map((file) => {
    const item = copy("#file");
    const link = item.querySelector("a");
    const when = item.querySelector("time");
    const button = item.querySelector("button");
    link.textContent = link.title = file.name;
    link.href = place(file.name);
    item.querySelector(".size").textContent = size(file.size);
    when.textContent = date.format(file.at * 1000);
    when.dateTime = new Date(file.at * 1000).toISOString();
    button.setAttribute("aria-label", `Delete ${file.name}`);
    button.onclick = async () => {
      await fetch(place(file.name), { method: "DELETE" });
      say(`${file.name} is deleted.`);
      refresh();
    };
    return item;
  }));
}

const PROBLEMS = {
  0: "the connection was lost",
  400: "a file cannot have this name",
  409: "there is one of this name already",
  413: "it is too large",
};

/* By XMLHttpRequest: fetch() does not tell how much of a body is sent. */
function upload(file) {
  const item = copy("#upload");
  const [state, progress, button] = [".state", "progress", "button"].map((what) => item.querySelector(what));
  const request = new XMLHttpRequest();

  function end(problem) {
    if (problem) {
      item.classList.add("failed");
      state.textContent = problem;
      button.textContent = "Dismiss";
      button.onclick = remove;
      say(`${file.name} was not uploaded: ${problem}.`);
    } else {
      remove();
      say(`${file.name} is uploaded.`);
      refresh();
    }
  }

  function remove() {
    item.remove();
    going.hidden = !uploads.children.length;
  }

  item.querySelector(".name").textContent = file.name;
  progress.setAttribute("aria-label", `Upload of ${file.name}`);
  state.textContent = `0 of ${size(file.size)}`;
  button.onclick = () => request.abort();
  request.upload.onprogress = ({ loaded, total }) => {
    progress.value = total ? loaded / total : 1;
    state.textContent = `${size(loaded)} of ${size(total)}`;
  };
  request.onload = () => end(request.status === 201 ? "" : PROBLEMS[request.status] ?? `error ${request.status}`);
  request.onerror = () => end(PROBLEMS[0]);
  request.onabort = remove;
  request.open("PUT", place(file.name));
  request.send(file);
  uploads.append(item);
  going.hidden = false;
}

document.querySelector("#choose").onchange = ({ target }) => {
  [...target.files].forEach(upload);
  target.value = "";
};

for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", over);
    if (name === "drop") [...event.dataTransfer.files].forEach(upload);
  });
}

refresh();
