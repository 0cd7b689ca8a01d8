
// Sort where the page is, without asking the server again; the links work without this.
const table = document.getElementById("listing");
const body = table.tBodies[0];
table.tHead.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-sort]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const head = link.closest("th");
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const column = head.cellIndex;
  const key = (row) => row.cells[column].dataset.key;
  const order = column === 0 ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : (a, b) => a - b;
  const rank = (row) => ("up" in row.dataset ? 0 : row.className === "directory" ? 1 : 2);
  const rows = [...body.rows].sort((one, two) =>
    rank(one) - rank(two) || (down ? -1 : 1) * order(key(one), key(two)));
  body.append(...rows);
  link.focus();
});
// Up and down move along the names, as in a file manager.
document.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...body.querySelectorAll("a")];
  const now = links.indexOf(document.activeElement);
  const next = event.key === "ArrowDown" ? now + 1 : now - 1;
  if (now < 0 && event.key === "ArrowUp") return;
  if (links[next]) { event.preventDefault(); links[next].focus(); }
});
