
// Live reload: news of saved files; the connection comes back by itself after a restart.
(() => {
  let version;
  const source = new EventSource("/_rush/live");
  source.addEventListener("version", (event) => {
    if (version !== undefined && version !== event.data) location.reload();
    version = event.data;
  });
  source.addEventListener("reload", () => location.reload());
  source.addEventListener("style", (event) => {
    const names = JSON.parse(event.data);
    const name = (link) => decodeURIComponent(new URL(link.href).pathname.split("/").pop());
    const all = [...document.querySelectorAll('link[rel~="stylesheet"][href]')];
    const links = all.filter((link) =>
      new URL(link.href).origin === location.origin && names.includes(name(link)));
    if (!links.length) location.reload();  // one that another imports
    for (const link of links) {
      const next = link.cloneNode();
      const url = new URL(link.href);
      url.searchParams.set("_rush", Date.now());
      next.href = url;
      next.onload = () => link.remove();  // only now: the page is never without a style
      next.onerror = () => next.remove();
      link.after(next);
    }
  });
  addEventListener("pagehide", () => source.close());
})();
