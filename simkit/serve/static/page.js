"use strict";
// Fetches parts of the page, embeds figures, and looks again while a study runs. All that is shown is made by the server.

const drawn = new Map(); // a figure's id: its document, view, and address
const sources = new Map(); // a part's id: what the server sent for it
const theme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const bokeh = new Promise((resume) => document.addEventListener("DOMContentLoaded", resume)); // its script stands after this one
const parts = (root) => root.querySelectorAll("[id^=part-]");
const SAME = {
  ColumnDataSource: ["data"], FixedTicker: ["ticks"], LinearAxis: ["axis_label", "major_label_overrides"],
  LinearColorMapper: ["low", "high"], Title: ["text"],
};

// Give the models of a figure the values of a fresh one, so that zoom and tools stay; false where it looks otherwise.
function updated(doc, json) {
  const fresh = doc.constructor.from_json(json);
  const [old, now] = [doc, fresh].map((each) => [...each.roots()[0].references()]);
  const image = (models) => models.filter((m) => m.type === "Image").map((m) => [m.dw, m.dh, m.x, m.y]).join();
  if (old.length !== now.length || old.some((m, i) => m.type !== now[i].type) || image(old) !== image(now)) return false;
  old.forEach((model, i) => (SAME[model.type] || []).forEach((key) => { model[key] = now[i][key]; }));
  return true;
}

const ask = (figure) => fetch(`${figure.dataset.plot}&theme=${theme()}`);

async function draw(figure, asked) {
  const canvas = figure.querySelector(".canvas");
  await bokeh;
  const answer = await asked;
  if (!answer.ok) {
    const told = new DOMParser().parseFromString(await answer.text(), "text/html");
    canvas.textContent = (told.querySelector("pre") || told.body).textContent;
    return;
  }
  const item = await answer.json();
  const known = drawn.get(figure.id);
  if (known && known.canvas === canvas && known.theme === theme() && updated(known.view.model.document, item.doc)) return;
  const views = await Bokeh.embed.embed_item(item, canvas.id);
  if (known) known.view.remove();
  const view = [...views][0];
  while (canvas.children.length > 1) canvas.firstElementChild.remove();
  drawn.set(figure.id, { canvas, view, theme: theme() });
  figure.dataset.drawn = theme();
  view.model.on_event("selectiongeometry", (event) => event.final && brushed(figure, view, event.geometry));
}

// A box on a figure becomes a condition; a click on a point leads to its run.
async function brushed(figure, view, box) {
  const address = new URL(figure.dataset.plot, location.href);
  const source = [...view.model.references()].find((model) => model.type === "ColumnDataSource");
  if (box.type === "point") {
    const [row] = source.selected.indices;
    if (row !== undefined) location.href = `/run?${new URLSearchParams({ t: address.searchParams.get("t"), run: source.data.run[row] })}`;
  } else if (box.type === "rect") {
    for (const key of ["x0", "x1", "y0", "y1"]) address.searchParams.set(key, box[key]);
    const answer = await fetch(`/brush${address.search}`);
    if (!answer.ok) return;
    document.getElementById("where").value = (await answer.json()).where;
    document.getElementById("choice").requestSubmit();
  }
}

// All are asked for while the browser still reads Bokeh's script; what stands first is seen first.
async function drawAll(root = document) {
  const asked = [...root.querySelectorAll("[data-plot]")].map((figure) => [figure, ask(figure)]);
  Promise.allSettled(asked.map(([, answer]) => answer)); // one that fails is told when its turn comes
  for (const [figure, answer] of asked) {
    await draw(figure, answer);
    await new Promise((resume) => setTimeout(resume)); // it is painted
  }
  document.body.dataset.drawn = Number(document.body.dataset.drawn || 0) + 1;
}

// Show what the server has for an address now: parts that did not change stay as they are.
async function show(address, push) {
  const answer = await fetch(address);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!fresh.querySelector("[id^=part-]")) {
    if (push) location.href = address;
    return;
  }
  if (push) history.pushState(null, "", address);
  const changed = [];
  for (const part of parts(fresh)) {
    const here = document.getElementById(part.id);
    if (!here || sources.get(part.id) === part.outerHTML || (!push && here.contains(document.activeElement))) continue;
    sources.set(part.id, part.outerHTML);
    here.replaceWith(part);
    changed.push(part);
  }
  await Promise.all(changed.map((part) => drawAll(part)));
}

// How far it is, each second; figures and tables less often, when the file changed.
async function poll() {
  const body = document.body.dataset;
  let version = document.getElementById("part-state")?.dataset.version;
  let again = 0;
  for (;;) {
    const word = document.getElementById("part-state")?.dataset.word;
    const isLive = word === "running" || document.querySelector(".b-running");
    await new Promise((resume) => setTimeout(resume, 1000 * (isLive ? body.again || 1 : body.again ? 2 : 5)));
    if (document.hidden) continue;
    try {
      if (body.again) { await show(location.href, false); continue; }
      const state = new DOMParser().parseFromString(await (await fetch(body.poll)).text(), "text/html").getElementById("part-state");
      if (!state) continue;
      document.getElementById("part-state").replaceWith(state);
      sources.set("part-state", state.outerHTML);
      const isOver = word === "running" && state.dataset.word !== "running";
      if (state.dataset.version === version || (Date.now() < again && !isOver)) continue;
      version = state.dataset.version;
      const began = Date.now();
      await show(location.href, false);
      await drawAll();
      again = Date.now() + Math.max(3000, 10 * (Date.now() - began));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the server is gone: it may come back
    }
  }
}

function address(form) {
  const values = [...new FormData(form)];
  return `${form.getAttribute("action")}?${new URLSearchParams(values)}`;
}

document.addEventListener("submit", (event) => {
  if (event.target.id !== "choice") return;
  event.preventDefault();
  show(address(event.target), true);
});
document.addEventListener("change", (event) => {
  if (event.target.matches("#choice select")) event.target.form.requestSubmit();
});
document.addEventListener("click", async (event) => {
  const link = event.target.closest("#part-table thead a, #part-table .pages a");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    show(link.href, true);
  }
  const kind = event.target.dataset?.save;
  if (kind) {
    const figure = event.target.closest("[data-plot]");
    const blob = await drawn.get(figure.id).view.export(kind, true).to_blob();
    const save = document.createElement("a");
    save.href = URL.createObjectURL(blob);
    save.download = `${figure.querySelector("h3").textContent}.${kind}`;
    save.click();
    URL.revokeObjectURL(save.href);
  }
});
window.addEventListener("popstate", () => show(location.href, false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());

for (const part of parts(document)) sources.set(part.id, part.outerHTML);
drawAll();
if (document.body.dataset.poll || document.body.dataset.again) poll();
