// The same drawing on two kinds of paper: a canvas for the screen and PNG, text for SVG. x and y in
// pixels of the page, y downwards.
window.seqlift = window.seqlift || {};

seqlift.font = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

// `outlines`: the path of each letter in the unit square, y downwards.
seqlift.canvas_pen = function (context, outlines) {
  const paths = {};
  Object.keys(outlines).forEach(function (base) { paths[base] = new Path2D(outlines[base]); });
  return {
    rect: function (x, y, width, height, fill) {
      context.fillStyle = fill;
      context.fillRect(x, y, width, height);
    },
    frame: function (x, y, width, height, stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    },
    line: function (x1, y1, x2, y2, stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
      context.stroke();
    },
    letter: function (base, x, y, width, height, fill) {
      context.save();
      context.translate(x, y);
      context.scale(width, height);
      context.fillStyle = fill;
      context.fill(paths[base], "evenodd");
      context.restore();
    },
    steps: function (points, stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = 1.25;
      context.beginPath();
      points.forEach(function (point, i) {
        if (i === 0) { context.moveTo(point[0], point[1]); } else { context.lineTo(point[0], point[1]); }
      });
      context.stroke();
    },
    text: function (text, x, y, size, fill, anchor, weight) {
      context.font = (weight || "normal") + " " + size + "px " + seqlift.font;
      context.textAlign = anchor === "middle" ? "center" : anchor;
      context.textBaseline = "middle";
      context.fillStyle = fill;
      context.fillText(text, x, y);
    },
    clipped: function (x, y, width, height, draw) {
      context.save();
      context.beginPath();
      context.rect(x, y, width, height);
      context.clip();
      draw();
      context.restore();
    }
  };
};

seqlift.svg_pen = function (outlines) {
  const parts = [];
  let clips = 0;
  const short = function (value) { return String(Math.round(value * 100) / 100); };
  const escaped = function (text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
      .replace(/"/g, "&quot;");
  };
  const attributes = function (values) {
    return Object.keys(values).map(function (name) {
      const value = values[name];
      return name + '="' + (typeof value === "number" ? short(value) : escaped(value)) + '"';
    }).join(" ");
  };
  const add = function (tag, values) { parts.push("<" + tag + " " + attributes(values) + "/>"); };
  return {
    rect: function (x, y, width, height, fill) {
      add("rect", { x: x, y: y, width: width, height: height, fill: fill });
    },
    frame: function (x, y, width, height, stroke) {
      add("rect", { x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1,
                    fill: "none", stroke: stroke });
    },
    line: function (x1, y1, x2, y2, stroke) {
      add("line", { x1: x1, y1: y1, x2: x2, y2: y2, stroke: stroke });
    },
    letter: function (base, x, y, width, height, fill) {
      parts.push('<path d="' + outlines[base] + '" fill-rule="evenodd" fill="' + fill +
        '" transform="translate(' + short(x) + " " + short(y) + ") scale(" + short(width) + " " +
        String(Math.round(height * 1e4) / 1e4) + ')"/>');
    },
    steps: function (points, stroke) {
      add("polyline", {
        points: points.map(function (point) { return short(point[0]) + "," + short(point[1]); })
          .join(" "),
        fill: "none", stroke: stroke, "stroke-width": "1.25"
      });
    },
    text: function (text, x, y, size, fill, anchor, weight) {
      parts.push("<text " + attributes({
        x: x, y: y, "font-size": size, fill: fill, "text-anchor": anchor,
        "font-weight": weight || "normal", "dominant-baseline": "central"
      }) + ">" + escaped(text) + "</text>");
    },
    clipped: function (x, y, width, height, draw) {
      const name = "clip" + (++clips);
      parts.push('<clipPath id="' + name + '"><rect ' +
        attributes({ x: x, y: y, width: width, height: height }) + "/></clipPath>" +
        '<g clip-path="url(#' + name + ')">');
      draw();
      parts.push("</g>");
    },
    document: function (width, height) {
      return '<svg xmlns="http://www.w3.org/2000/svg" width="' + width + '" height="' + height +
        '" viewBox="0 0 ' + width + " " + height + '" font-family="' + escaped(seqlift.font) + '">' +
        parts.join("") + "</svg>";
    }
  };
};
