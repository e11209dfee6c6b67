// A picture with outlines over it, on layers that can be switched off; see viewer.py.
//
// props.picture   {image, width, height, maps: {layer: image}}; images are data: URLs
// props.layers    [{name, title, colour, shown, style}], style "", "dashed" or "thin"
// props.value     {outlines: [{layer, points: [[x, y], ...], cells: [...]}], columns: [...]}
// props.editable  layer whose outlines can be deleted and drawn, or null
const SVG = "http://www.w3.org/2000/svg";
const find = (selector) => element.querySelector(selector);
const stage = find(".stage"), svg = find("svg"), list = find(".list");
const shown = {}; // by layer, what the user switched
let chosen = null; // position of an outline
let drawing = false; // whether the pointer draws
let start = null; // where the pointer went down

const outlines = () => (props.value && props.value.outlines) || [];
const isShown = (layer) => shown[layer.name] ?? layer.shown;
const styleOf = (name) => props.layers.find((layer) => layer.name === name) || {};

function make(parent, tag, text, attributes) {
  const node = parent.appendChild(document.createElement(tag));
  node.textContent = text;
  Object.assign(node, attributes);
  return node;
}

function used(name) {
  const maps = (props.picture && props.picture.maps) || {};
  return name in maps || name === props.editable || outlines().some((o) => o.layer === name);
}

function drawLayers() {
  const box = find(".layers"), focused = box.contains(document.activeElement);
  const before = focused && document.activeElement.name;
  box.replaceChildren();
  for (const layer of props.layers.filter((each) => used(each.name))) {
    const label = make(box, "label", "");
    const input = make(label, "input", "", { type: "checkbox", name: layer.name });
    input.checked = isShown(layer);
    input.onchange = () => { shown[layer.name] = input.checked; draw(); };
    make(label, "i", "").style.borderColor = layer.colour;
    const count = outlines().filter((o) => o.layer === layer.name).length;
    make(label, "span", layer.title + (count ? " " + count : ""));
    if (layer.name === before) input.focus();
  }
}

function drawPicture() {
  const picture = props.picture;
  stage.classList.toggle("filled", Boolean(picture));
  stage.querySelectorAll("img:not(.picture)").forEach((image) => image.remove());
  if (!picture) return;
  const image = find("img.picture");
  if (image.src !== picture.image) image.src = picture.image;
  image.width = picture.width; // keeps the place while it loads
  image.height = picture.height;
  stage.style.setProperty("--shape", picture.width / picture.height);
  svg.setAttribute("viewBox", [0, 0, picture.width, picture.height].join(" "));
  for (const layer of props.layers) {
    if (!picture.maps[layer.name] || !isShown(layer)) continue;
    const map = document.createElement("img");
    Object.assign(map, { src: picture.maps[layer.name], alt: layer.title });
    stage.insertBefore(map, svg);
  }
}

function drawOutlines() {
  const focused = svg.contains(document.activeElement);
  svg.replaceChildren();
  outlines().forEach((outline, i) => {
    const layer = styleOf(outline.layer);
    if (!isShown(layer)) return;
    const polygon = svg.appendChild(document.createElementNS(SVG, "polygon"));
    polygon.setAttribute("points", outline.points.map((p) => p.join(",")).join(" "));
    polygon.setAttribute("stroke", outline.colour || layer.colour);
    polygon.setAttribute("class", [layer.style, i === chosen ? "chosen" : ""].join(" ").trim());
    if (outline.cells) {
      const title = polygon.appendChild(document.createElementNS(SVG, "title"));
      title.textContent = tip(outline);
    }
    if (outline.layer === props.editable) polygon.setAttribute("tabindex", "0");
    polygon.addEventListener("focus", () => choose(i));
    if (i === chosen && focused) polygon.focus();
  });
}

const tip = (outline) =>
  outline.cells.map((cell, i) => [props.value.columns[i], cell].join(" ")).join(", ");

function drawList() {
  const rows = outlines().map((o, i) => [o, i]).filter(([o]) => o.cells && isShown(styleOf(o.layer)));
  list.classList.toggle("filled", rows.length > 0);
  const several = new Set(rows.map(([o]) => o.layer)).size > 1;
  find("summary").textContent = "Table: " + rows.length + (rows.length === 1 ? " row" : " rows");
  const table = find("table");
  table.replaceChildren();
  if (!rows.length || !list.open) return;
  const head = make(table, "tr", "");
  for (const name of ["#", ...(several ? ["layer"] : []), ...props.value.columns]) {
    make(head, "th", name);
  }
  rows.forEach(([outline, i], number) => {
    const row = make(table, "tr", "", { tabIndex: 0, onfocus: () => choose(i) });
    row.onmouseenter = () => choose(i);
    row.dataset.outline = i;
    const cells = [...(several ? [styleOf(outline.layer).title] : []), ...outline.cells];
    for (const cell of [number + 1, ...cells]) make(row, "td", cell);
  });
}

function choose(i) {
  if (chosen === i) return;
  chosen = i;
  const visible = outlines().map((o, k) => [o, k]).filter(([o]) => isShown(styleOf(o.layer)));
  visible.forEach(([, k], n) => svg.children[n]?.classList.toggle("chosen", k === i));
  list.querySelectorAll("tr[data-outline]").forEach((row) =>
    row.classList.toggle("chosen", Number(row.dataset.outline) === i));
  drawTools();
}

// --- Correcting ---

function drawTools() {
  const tools = find(".tools");
  if (!props.editable || !props.picture) return tools.replaceChildren();
  if (!tools.children.length) {
    const pen = make(tools, "button", "Draw boxes", { type: "button" });
    pen.onclick = () => { drawing = !drawing; drawTools(); };
    make(tools, "button", "Add a box", { type: "button", onclick: add });
    make(tools, "button", "Delete", { type: "button", onclick: remove });
    make(tools, "small", "Arrow keys move the chosen box, with Shift they change its size.");
  }
  tools.children[0].setAttribute("aria-pressed", drawing);
  tools.children[2].disabled = outlines()[chosen]?.layer !== props.editable;
  stage.classList.toggle("drawing", drawing);
}

function change(changed, position) {
  props.value = { ...props.value, outlines: changed };
  chosen = position;
  draw();
  trigger("input");
}

const box = (x0, y0, x1, y1) => ({
  layer: props.editable,
  points: [[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
});

function add() {
  const { width, height } = props.picture;
  const made = box(0.4 * width, 0.45 * height, 0.6 * width, 0.55 * height);
  change([...outlines(), made], outlines().length);
  svg.querySelector(".chosen")?.focus();
}

function remove() {
  if (outlines()[chosen]?.layer !== props.editable) return;
  change(outlines().filter((_, i) => i !== chosen), null);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
element.addEventListener("keydown", (event) => {
  if (!svg.contains(event.target)) return;
  if (event.key === "Delete" || event.key === "Backspace") {
    event.preventDefault();
    remove();
  } else if (STEPS[event.key]) {
    event.preventDefault();
    const step = Math.max(1, Math.round(props.picture.width / 300));
    const [dx, dy] = STEPS[event.key].map((part) => part * step);
    const moved = outlines().map((o) => ({ ...o }));
    const points = moved[chosen].points, n = points.length / 2;
    moved[chosen].points = points.map(([x, y], i) => event.shiftKey
      ? [x + (i >= n / 2 && i < 1.5 * n ? dx : 0), y + (i >= n ? dy : 0)] // right and lower side
      : [x + dx, y + dy]);
    change(moved, chosen);
  }
});

function place(event) {
  const area = svg.getBoundingClientRect(), { width, height } = props.picture;
  const clip = (value, limit) => Math.min(Math.max(value, 0), limit);
  return [
    clip(((event.clientX - area.left) / area.width) * width, width),
    clip(((event.clientY - area.top) / area.height) * height, height),
  ];
}

svg.addEventListener("pointerdown", (event) => {
  if (!drawing || !props.editable) return;
  start = place(event);
  svg.setPointerCapture(event.pointerId);
});
svg.addEventListener("pointermove", (event) => {
  if (!start) return;
  svg.querySelector(".pending")?.remove();
  const pending = svg.appendChild(document.createElementNS(SVG, "rect"));
  const [[x0, y0], [x1, y1]] = [start, place(event)];
  const size = { x: Math.min(x0, x1), y: Math.min(y0, y1) };
  Object.assign(size, { width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) });
  for (const [name, value] of Object.entries(size)) pending.setAttribute(name, value);
  pending.setAttribute("class", "pending");
  pending.setAttribute("fill", "rgb(255 255 0 / 0.3)");
});
svg.addEventListener("pointerup", (event) => {
  if (!start) return;
  const [[x0, y0], [x1, y1]] = [start, place(event)];
  start = null;
  svg.querySelector(".pending")?.remove();
  if (Math.abs(x1 - x0) < 2 || Math.abs(y1 - y0) < 2) return; // a click
  const made = box(Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1));
  change([...outlines(), made], outlines().length);
});
svg.addEventListener("pointercancel", () => { start = null; });

// --- All of it ---

function draw() {
  drawLayers();
  drawPicture();
  drawOutlines();
  drawList();
  drawTools();
}

list.addEventListener("toggle", drawList);
watch(["value", "picture", "layers"], () => {
  if (chosen >= outlines().length) chosen = null;
  draw();
});
draw();
