"use strict";
// Lets a page's map be zoomed and asked. Without this script it is a picture with words, beside tables of its numbers.
// Nothing moves by itself, so a reader who wants less motion has none.
for (const figure of document.querySelectorAll(".map")) {
  const svg = figure.querySelector("svg.city-map");
  const told = figure.querySelector(".map-told");
  const [width, height] = svg.dataset.size.split(" ").map(Number);
  const view = {x: 0, y: 0, w: width};
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function show() {
    view.w = clamp(view.w, width / 32, width);
    const h = view.w * height / width;
    view.x = clamp(view.x, 0, width - view.w);
    view.y = clamp(view.y, 0, height - h);
    svg.setAttribute("viewBox", [view.x, view.y, view.w, h].map((n) => +n.toFixed(3)).join(" "));
    const perPixel = view.w / (svg.clientWidth || width);
    svg.style.setProperty("--k", perPixel);
    const small = svg.clientWidth < 600;
    svg.style.setProperty("--s", perPixel * (small ? 0.55 : 1));
    svg.classList.toggle("small", small);
    svg.classList.toggle("near", view.w <= width / 2.5);
    // A finger scrolls the page over the whole map, and moves the map once it is nearer.
    svg.style.touchAction = view.w < width ? "none" : "pan-y";
  }

  // Zoom by a factor; the point at these shares of the picture stays where it is.
  function zoom(factor, across = 0.5, down = 0.5) {
    const before = view.w;
    view.w = clamp(view.w / factor, width / 32, width);
    view.x += (before - view.w) * across;
    view.y += (before - view.w) * height / width * down;
    show();
  }

  function move(across, down) {
    view.x += across * view.w;
    view.y += down * view.w * height / width;
    show();
  }

  function reset() {
    Object.assign(view, {x: 0, y: 0, w: width});
    show();
  }

  function shares(event) {
    const box = svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  const title = (mark) => mark.querySelector(":scope > title");
  function tell(mark) {
    if (mark && mark !== svg && title(mark)) told.textContent = title(mark).textContent;
  }

  function reveal(mark) {
    const box = mark.getBBox(), h = view.w * height / width;
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    if (x < view.x || x > view.x + view.w || y < view.y || y > view.y + h) {
      view.x = x - view.w / 2;
      view.y = y - h / 2;
      show();
    }
  }

  // Tab stops at the map, at the places that are named, and at the first of each other kind of mark;
  // from there the arrow keys go through all of the kind.
  const next = new Map();
  for (const layer of svg.querySelectorAll(".places, .emerging, .stations, .cells")) {
    const marks = Array.from(layer.children).filter(title);
    const stops = layer.classList.contains("places") ? +svg.dataset.stops : 1;
    layer.setAttribute("role", "group");
    layer.setAttribute("aria-label", layer.classList[0]);
    marks.forEach((mark, rank) => {
      mark.setAttribute("role", "img");
      mark.setAttribute("tabindex", rank < stops ? "0" : "-1");
      next.set(mark, (step) => marks[clamp(rank + step, 0, marks.length - 1)]);
    });
  }
  svg.setAttribute("role", "group");
  svg.setAttribute("tabindex", "0");
  svg.querySelector(".map-legend").remove();  // it would move with the map; the words below say the same
  svg.setAttribute("height", height);
  for (const hidden of figure.querySelectorAll("[hidden]")) hidden.hidden = false;

  const keys = {"+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": reset};
  const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = arrows[event.key];
    if (keys[event.key]) keys[event.key]();
    else if (arrow && event.target === svg) move(arrow[0] / 8, arrow[1] / 8);
    else if (arrow && next.has(event.target)) next.get(event.target)(arrow[0] + arrow[1]).focus({preventScroll: true});
    else return;
    event.preventDefault();
  });
  svg.addEventListener("focusin", (event) => {
    tell(event.target);
    if (next.has(event.target)) reveal(event.target);
  });
  svg.addEventListener("pointerover", (event) => tell(event.target));

  // Over the whole map the wheel scrolls the page on; the browser's own zoom keeps its key.
  svg.addEventListener("wheel", (event) => {
    if (event.ctrlKey && !event.deltaY || event.deltaY > 0 && view.w === width) return;
    zoom(Math.exp(-clamp(event.deltaY, -200, 200) / 400), ...shares(event));
    event.preventDefault();
  }, {passive: false});

  // One finger, or the mouse, moves the map; two fingers zoom it.
  const fingers = new Map();
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0) fingers.set(event.pointerId, event);
  });
  svg.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = Array.from(fingers.values()).find((finger) => finger.pointerId !== event.pointerId);
    const box = svg.getBoundingClientRect();
    if (other) {
      const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY) || 1;
      zoom(apart(event) / apart(before), ...shares(other));
    } else {
      const step = [before.clientX - event.clientX, before.clientY - event.clientY];
      if (Math.hypot(...step) < 3) return;  // a tap
      svg.setPointerCapture(event.pointerId);
      move(step[0] / box.width, step[1] / box.height);
    }
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }

  const [nearer, farther, whole] = figure.querySelectorAll("button");
  nearer.addEventListener("click", () => zoom(1.5));
  farther.addEventListener("click", () => zoom(1 / 1.5));
  whole.addEventListener("click", reset);
  new ResizeObserver(show).observe(svg);
  show();
}
