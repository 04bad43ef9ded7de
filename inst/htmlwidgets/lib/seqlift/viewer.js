// The page around the rows: which sequences and positions are shown, what the mouse, the keyboard
// and the buttons do, and what is saved. One canvas as high as what is seen of the page is drawn
// again at each change; longer pages are scrolled under it.
window.seqlift = window.seqlift || {};

seqlift.themes = {
  light: { ink: "#1b1f24", faint: "#5b6470", line: "#aab1ba", paper: "#ffffff",
           paper_rgb: [255, 255, 255], band: "#f1f3f5", window: "rgba(37,92,153,0.14)",
           accent: "#255c99" },
  dark: { ink: "#e8eaed", faint: "#a9b1bb", line: "#5d6671", paper: "#16191d",
          paper_rgb: [22, 25, 29], band: "#23272d", window: "rgba(120,170,230,0.2)",
          accent: "#7db1ec" }
};

seqlift.viewer = function (element) {
  const fewest = 8;  // positions in the closest view
  const left = 58;
  const right = 12;
  let data = null;
  let state = null;
  let rows = [];
  let tops = [];
  let total = 0;
  let waiting = false;

  const make = function (tag, className, parent, text) {
    const node = document.createElement(tag);
    node.className = className;
    if (text) { node.textContent = text; }
    parent.appendChild(node);
    return node;
  };
  element.classList.add("seqlift-viewer");
  const bar = make("div", "seqlift-bar", element);
  const scroller = make("div", "seqlift-scroller", element);
  const spacer = make("div", "seqlift-spacer", scroller);
  const canvas = make("canvas", "seqlift-canvas", spacer);
  const tooltip = make("div", "seqlift-tooltip", element);
  tooltip.setAttribute("role", "status");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Attributions along the sequence. Arrow keys move, plus and " +
    "minus zoom, 0 shows the whole sequence, Page Up and Page Down change the sequence, " +
    "H shows and hides every base.");
  const context = canvas.getContext("2d");

  // ---- what is shown --------------------------------------------------------------------------

  const dark = function () {
    const asked = data.theme;
    return asked === "dark" || (asked === "auto" && window.matchMedia &&
      window.matchMedia("(prefers-color-scheme: dark)").matches);
  };

  const page_of = function (width) {
    const plot = Math.max(50, width - left - right);
    const pixels = plot / (state.to - state.from);
    return {
      data: data, state: state, from: state.from, to: state.to, left: left, width: plot,
      pixels: pixels, theme: seqlift.themes[dark() ? "dark" : "light"],
      colours: data.palettes[state.palette],
      x: function (position) { return left + (position - state.from) * pixels; }
    };
  };

  // from and to are edges: the whole sequence lies between first - 0.5 and last + 0.5.
  const move_to = function (from, to) {
    const low = data.first - 0.5;
    const high = data.last + 0.5;
    const width = Math.min(high - low, Math.max(Math.min(fewest, high - low), to - from));
    const centre = (from + to) / 2;
    state.from = Math.min(Math.max(centre - width / 2, low), high - width);
    state.to = state.from + width;
    draw_soon();
  };
  const zoom = function (factor, centre) {
    const at = centre === undefined ? (state.from + state.to) / 2 : centre;
    move_to(at - (at - state.from) / factor, at + (state.to - at) / factor);
  };
  const pan = function (share) {
    const by = (state.to - state.from) * share;
    move_to(state.from + by, state.to + by);
  };
  const whole = function () { move_to(data.first - 0.5, data.last + 0.5); };

  const choose = function (value) {
    state.all = value === "all";
    state.sequences = state.all ? data.sequences.map(function (one, i) { return i; })
                                : [Number(value)];
    state.placed = state.sequences[0];
    controls.sequence.value = value;
    controls.genome.hidden = !data.sequences[state.placed].place;
    lay_out();
  };
  const step = function (by) {
    const next = (state.all ? 0 : state.sequences[0] + by);
    choose(String(Math.min(Math.max(next, 0), data.sequences.length - 1)));
  };

  const lay_out = function () {
    rows = seqlift.rows(data, state);
    tops = [];
    total = 6;
    rows.forEach(function (row) { tops.push(total); total += row.height; });
    total += 8;
    spacer.style.height = total + "px";
    draw_soon();
  };

  // ---- drawing --------------------------------------------------------------------------------

  const draw_rows = function (pen, page, from, to) {
    rows.forEach(function (row, i) {
      if (tops[i] + row.height >= from && tops[i] <= to) {
        row.draw(pen, tops[i], page);
      }
    });
  };

  const draw = function () {
    waiting = false;
    const width = scroller.clientWidth;
    const height = scroller.clientHeight;
    if (!data || width === 0 || height === 0) {
      return;
    }
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
    }
    const page = page_of(width);
    element.style.setProperty("--seqlift-paper", page.theme.paper);
    element.style.setProperty("--seqlift-ink", page.theme.ink);
    element.style.setProperty("--seqlift-line", page.theme.line);
    element.style.setProperty("--seqlift-accent", page.theme.accent);
    context.setTransform(ratio, 0, 0, ratio, 0, -scroller.scrollTop * ratio);
    context.fillStyle = page.theme.paper;
    context.fillRect(0, scroller.scrollTop, width, height);
    draw_rows(seqlift.canvas_pen(context, data.outlines), page, scroller.scrollTop,
              scroller.scrollTop + height);
    controls.place.textContent = seqlift.position_text(Math.ceil(state.from)) + " \u2013 " +
      seqlift.position_text(Math.floor(state.to)) + " of " + seqlift.position_text(data.last);
  };

  const draw_soon = function () {
    if (!waiting) {
      waiting = true;
      window.requestAnimationFrame(draw);
    }
  };

  const svg = function () {
    const width = scroller.clientWidth || 900;
    const page = page_of(width);
    const pen = seqlift.svg_pen(data.outlines);
    pen.rect(0, 0, width, total, page.theme.paper);
    draw_rows(pen, page, 0, total);
    return pen.document(width, total);
  };

  const png = function (done) {
    const width = scroller.clientWidth || 900;
    const page = page_of(width);
    const paper = document.createElement("canvas");
    // Browsers draw no canvas higher than this.
    const ratio = Math.min(2, 16000 / total);
    paper.width = Math.round(width * ratio);
    paper.height = Math.round(total * ratio);
    const to = paper.getContext("2d");
    to.setTransform(ratio, 0, 0, ratio, 0, 0);
    to.fillStyle = page.theme.paper;
    to.fillRect(0, 0, width, total);
    draw_rows(seqlift.canvas_pen(to, data.outlines), page, 0, total);
    paper.toBlob(done, "image/png");
  };

  const save = function (blob, ending) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = data.file + ending;
    link.click();
    window.setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  };

  // ---- the bar --------------------------------------------------------------------------------

  const controls = {};
  const button = function (text, title, action) {
    const node = make("button", "seqlift-button", bar, text);
    node.type = "button";
    node.title = title;
    node.setAttribute("aria-label", title);
    node.addEventListener("click", action);
    return node;
  };
  controls.sequence = make("select", "seqlift-select", bar);
  controls.sequence.setAttribute("aria-label", "Sequence");
  controls.sequence.addEventListener("change", function () {
    choose(controls.sequence.value);
    scroller.scrollTop = 0;
  });
  button("\u25c0", "Left (arrow key)", function () { pan(-0.5); });
  button("\u25b6", "Right (arrow key)", function () { pan(0.5); });
  button("\u2212", "Zoom out (-)", function () { zoom(1 / 1.6); });
  button("+", "Zoom in (+)", function () { zoom(1.6); });
  button("Whole", "The whole sequence (0)", whole);
  controls.place = make("span", "seqlift-place", bar);
  controls.heatmap = button("Every base", "Show or hide the scores of every base (H)", function () {
    state.heatmap = !state.heatmap;
    controls.heatmap.setAttribute("aria-pressed", String(state.heatmap));
    lay_out();
  });
  controls.genome = button("Genome", "Positions of the sequence or of the genome (G)", function () {
    state.genome = !state.genome;
    controls.genome.setAttribute("aria-pressed", String(state.genome));
    draw_soon();
  });
  controls.palette = button("Colours", "Other colours for the letters (C)", function () {
    state.palette = (state.palette + 1) % data.palettes.length;
    draw_soon();
  });
  button("SVG", "Save this view as SVG", function () {
    save(new Blob([svg()], { type: "image/svg+xml" }), ".svg");
  });
  button("PNG", "Save this view as PNG", function () {
    png(function (blob) { save(blob, ".png"); });
  });

  // ---- mouse, fingers, keyboard ---------------------------------------------------------------

  const place_of = function (event) {
    const box = canvas.getBoundingClientRect();
    const page = page_of(scroller.clientWidth);
    const x = event.clientX - box.left;
    const y = event.clientY - box.top + scroller.scrollTop;
    const row = rows.findIndex(function (one, i) {
      return y >= tops[i] && y < tops[i] + one.height;
    });
    return { x: x, y: y, row: row, page: page, inside: x >= left && x <= left + page.width,
             at: state.from + (x - left) / page.pixels };
  };

  const hide_tip = function () { tooltip.style.display = "none"; };
  const show_tip = function (event) {
    const place = place_of(event);
    const position = Math.min(Math.max(Math.round(place.at), data.first), data.last);
    const lines = place.inside && place.row >= 0 &&
      rows[place.row].tip(position, place.y - tops[place.row], place.page);
    if (!lines) {
      hide_tip();
      return;
    }
    tooltip.textContent = lines.join("\n");
    tooltip.style.display = "block";
    const box = element.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    tooltip.style.left = Math.max(4, Math.min(x + 14, box.width - tooltip.offsetWidth - 6)) + "px";
    tooltip.style.top = Math.max(4, y + 18 + tooltip.offsetHeight > box.height
      ? y - tooltip.offsetHeight - 10 : y + 18) + "px";
  };

  const fingers = new Map();
  let held = null;  // where a drag began
  const centre_on = function (place) {
    const length = data.last - data.first + 1;
    const centre = data.first - 0.5 + (place.x - left) / place.page.width * length;
    const half = (state.to - state.from) / 2;
    move_to(centre - half, centre + half);
  };
  canvas.addEventListener("pointerdown", function (event) {
    fingers.set(event.pointerId, event);
    try { canvas.setPointerCapture(event.pointerId); } catch (error) { /* a pointer made by a script */ }
    const place = place_of(event);
    held = { x: event.clientX, from: state.from, to: state.to,
             overview: place.row >= 0 && rows[place.row].overview === true };
    if (held.overview) { centre_on(place); }
    hide_tip();
  });
  canvas.addEventListener("pointermove", function (event) {
    if (!held) {
      show_tip(event);
      return;
    }
    const before = fingers.get(event.pointerId);
    if (fingers.size === 2 && before) {
      const other = Array.from(fingers.values()).find(function (one) {
        return one.pointerId !== event.pointerId;
      });
      const was = Math.abs(before.clientX - other.clientX);
      const is = Math.abs(event.clientX - other.clientX);
      if (was > 5 && is > 5) { zoom(is / was); }
    } else if (held.overview) {
      centre_on(place_of(event));
    } else {
      const by = (held.x - event.clientX) / page_of(scroller.clientWidth).pixels;
      move_to(held.from + by, held.to + by);
    }
    fingers.set(event.pointerId, event);
  });
  const let_go = function (event) {
    fingers.delete(event.pointerId);
    held = null;
  };
  canvas.addEventListener("pointerup", let_go);
  canvas.addEventListener("pointercancel", let_go);
  canvas.addEventListener("pointerleave", hide_tip);
  canvas.addEventListener("dblclick", function (event) { zoom(3, place_of(event).at); });
  // A wheel scrolls the document, as everywhere, until the picture was clicked or Ctrl is held.
  canvas.addEventListener("wheel", function (event) {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!sideways && !event.ctrlKey && document.activeElement !== canvas) {
      return;
    }
    event.preventDefault();
    hide_tip();
    if (sideways) {
      pan((event.deltaX || event.deltaY) / 800);
    } else {
      zoom(Math.exp(-event.deltaY / 300), place_of(event).at);
    }
  }, { passive: false });
  canvas.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const actions = {
      ArrowLeft: function () { pan(-0.15); }, ArrowRight: function () { pan(0.15); },
      ArrowUp: function () { scroller.scrollTop -= 60; },
      ArrowDown: function () { scroller.scrollTop += 60; },
      "+": function () { zoom(1.6); }, "=": function () { zoom(1.6); },
      "-": function () { zoom(1 / 1.6); }, "0": whole, Home: whole,
      PageDown: function () { step(1); }, PageUp: function () { step(-1); },
      h: function () { controls.heatmap.click(); }, g: function () { controls.genome.click(); },
      c: function () { controls.palette.click(); }, Escape: hide_tip
    };
    const action = actions[event.key] || actions[event.key.toLowerCase()];
    if (action) {
      event.preventDefault();
      action();
    }
  });
  scroller.addEventListener("scroll", function () { hide_tip(); draw_soon(); });
  if (window.matchMedia) {
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    if (scheme.addEventListener) { scheme.addEventListener("change", draw_soon); }
  }

  return {
    show: function (x) {
      data = seqlift.unpack(x);
      state = { from: data.from - 0.5, to: data.to + 0.5, heatmap: data.heatmap, genome: false,
                palette: 0, sequences: [0], placed: 0, all: false };
      controls.sequence.replaceChildren();
      const option = function (text, value) {
        const node = make("option", "", controls.sequence, text);
        node.value = value;
      };
      data.sequences.forEach(function (one, i) { option(one.name, String(i)); });
      if (data.sequences.length > 1) {
        option("All " + data.sequences.length + " sequences", "all");
      }
      const has_all = data.views.some(function (view) { return view.all; });
      controls.heatmap.hidden = !has_all;
      controls.heatmap.setAttribute("aria-pressed", String(state.heatmap));
      choose(data.together ? "all" : "0");
    },
    resize: draw_soon,
    svg: svg,
    png: png,
    window: function () { return [state.from + 0.5, state.to - 0.5]; },
    draw: draw
  };
};
