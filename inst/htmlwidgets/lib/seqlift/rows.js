// The rows of the page, each with its height, `draw(pen, top, page)` and `tip(position, down, page)`:
// what the mouse reads `down` pixels below the row's top, as lines of text, or null. Position p lies
// between p - 0.5 and p + 0.5. `page` says which positions are shown and where:
//   from, to, left, width, x(position), pixels (of a position), data, state, theme, colours
window.seqlift = window.seqlift || {};

(function () {
  const letter_pixels = 3.5;  // narrower letters are bars

  const shown = function (page) {
    return [Math.max(page.data.first, Math.ceil(page.from - 0.5)),
            Math.min(page.data.last, Math.floor(page.to + 0.5))];
  };

  const at_position = function (page, position) {
    const place = page.data.sequences[page.state.placed].place;
    const text = seqlift.position_text(position);
    if (!place) {
      return "position " + text;
    }
    return "position " + text + " (" + place.name + ":" +
      seqlift.position_text(seqlift.genome(place, position)) + ")";
  };

  seqlift.genome = function (place, position) {
    return place.strand === "-" ? place.end - position + 1 : place.start + position - 1;
  };

  // ---- the axis and the whole sequence --------------------------------------------------------

  const axis = function () {
    return {
      height: 24,
      draw: function (pen, top, page) {
        const place = page.data.sequences[page.state.placed].place;
        const genome = page.state.genome && place;
        const turn = function (position) {
          return genome ? seqlift.genome(place, position) : position;
        };
        const ends = [turn(page.from), turn(page.to)].sort(function (a, b) { return a - b; });
        const ticks = seqlift.ticks(ends[0], ends[1], page.width / 90, 1);
        ticks.forEach(function (tick) {
          const position = genome ? (place.strand === "-" ? place.end - tick + 1
                                                          : tick - place.start + 1) : tick;
          const x = page.x(position);
          if (x < page.left || x > page.left + page.width) {
            return;
          }
          pen.line(x, top + 18, x, top + 23, page.theme.line);
          pen.text(seqlift.position_text(tick), x, top + 9, 11, page.theme.faint, "middle");
        });
        pen.line(page.left, top + 23, page.left + page.width, top + 23, page.theme.line);
        pen.text(genome ? place.name + (place.strand === "-" ? " (\u2212)" : "") : "bp",
                 page.left - 6, top + 9, 11, page.theme.faint, "end");
      },
      tip: function () { return null; }
    };
  };

  // What is largest in each pixel of the whole sequence, and the window as a frame.
  const overview = function (view, sequence) {
    return {
      height: 30,
      overview: true,
      draw: function (pen, top, page) {
        const data = page.data;
        const length = data.last - data.first + 1;
        const x = function (position) {
          return page.left + (position - data.first + 0.5) / length * page.width;
        };
        pen.rect(page.left, top + 2, page.width, 24, page.theme.band);
        const columns = Math.max(1, Math.floor(page.width));
        const peak = Math.max(Math.abs(view.low), Math.abs(view.high)) || 1;
        for (let column = 0; column < columns; ++column) {
          const start = Math.floor(column * length / columns);
          const end = Math.max(start + 1, Math.floor((column + 1) * length / columns));
          let best = 0;
          for (let i = start; i < end; ++i) {
            const value = view.observed[sequence * length + i];
            best = Math.abs(value) > Math.abs(best) ? value : best;
          }
          const height = Math.abs(best) / peak * 22;
          if (height > 0.3) {
            pen.rect(page.left + column * page.width / columns, top + 26 - height,
                     Math.max(1, page.width / columns), height, page.theme.faint);
          }
        }
        const left = x(page.from - 0.5 + 0.5);
        const right = x(page.to - 0.5 + 0.5);
        pen.rect(left, top + 2, Math.max(2, right - left), 24, page.theme.window);
        pen.frame(left, top + 2, Math.max(2, right - left), 24, page.theme.accent);
      },
      tip: function () { return null; }
    };
  };

  const title = function (text, note) {
    return {
      height: 24,
      draw: function (pen, top, page) {
        pen.text(text, page.left, top + 14, 13, page.theme.ink, "start", "600");
        if (note) {
          pen.text(note, page.left + page.width, top + 14, 11, page.theme.faint, "end");
        }
      },
      tip: function () { return null; }
    };
  };

  // ---- numbers of letters ---------------------------------------------------------------------

  const value_axis = function (pen, top, height, low, high, page, y) {
    seqlift.ticks(low, high, height / 28, 0).forEach(function (tick) {
      pen.line(page.left - 4, y(tick), page.left, y(tick), page.theme.line);
      pen.text(seqlift.number(tick), page.left - 7, y(tick), 10, page.theme.faint, "end");
    });
  };

  // Of several positions in one pixel the largest above the axis and the lowest below it:
  // `draw(position, x)` for each. `values` of the positions from `offset` on, `stride` apart.
  const draw_columns = function (values, offset, stride, range, page, draw) {
    const first = page.data.first;
    const count = Math.ceil(page.width) + 2;
    const above = new Int32Array(count).fill(-1);
    const below = new Int32Array(count).fill(-1);
    const high = new Float32Array(count);
    const low = new Float32Array(count);
    for (let position = range[0]; position <= range[1]; ++position) {
      const value = values[offset + (position - first) * stride];
      const column = Math.min(count - 1, Math.max(0, Math.round((position - page.from) * page.pixels)));
      if (value > high[column]) {
        high[column] = value;
        above[column] = position;
      } else if (value < low[column]) {
        low[column] = value;
        below[column] = position;
      }
    }
    for (let column = 0; column < count; ++column) {
      if (above[column] >= 0) { draw(above[column], high[column], page.left + column); }
      if (below[column] >= 0) { draw(below[column], low[column], page.left + column); }
    }
  };

  const logo = function (view, sequence, height) {
    const low = Math.min(0, view.low);
    const high = Math.max(0, view.high);
    const span = high - low || 1;
    return {
      height: height,
      draw: function (pen, top, page) {
        const y = function (value) { return top + 6 + (high - value) / span * (height - 12); };
        const index = sequence * (page.data.last - page.data.first + 1);
        const letters = page.data.sequences[sequence].letters;
        const value = function (position) {
          return view.observed[index + position - page.data.first];
        };
        const base = function (position) { return letters[position - page.data.first]; };
        const colour = function (position) { return page.colours[base(position)]; };
        const range = shown(page);
        value_axis(pen, top, height, low, high, page, y);
        pen.clipped(page.left, top, page.width, height, function () {
          const bar = function (position, v, x, width) {
            pen.rect(x, Math.min(y(v), y(0)), width, Math.abs(y(v) - y(0)), colour(position));
          };
          if (page.pixels < 1) {
            draw_columns(view.observed, index, 1, range, page, function (position, v, x) {
              if (Math.abs(y(v) - y(0)) > 0.3) { bar(position, v, x - 0.5, 1.4); }
            });
            return;
          }
          for (let position = range[0]; position <= range[1]; ++position) {
            const v = value(position);
            const tall = Math.abs(y(v) - y(0));
            if (tall < 0.2 || base(position) === "N") {
              continue;
            }
            const x = page.x(position - 0.5);
            if (page.pixels < letter_pixels || tall < 1.5) {
              bar(position, v, x, page.pixels * 0.94);
            } else {
              pen.letter(base(position), x + page.pixels * 0.03, Math.min(y(v), y(0)),
                         page.pixels * 0.94, tall, colour(position));
            }
          }
        });
        pen.line(page.left, y(0), page.left + page.width, y(0), page.theme.line);
        pen.text(view.name, page.left + 4, top + 8, 11, page.theme.faint, "start");
      },
      tip: function (position, down, page) {
        const length = page.data.last - page.data.first + 1;
        const at = position - page.data.first;
        const lines = [
          page.data.sequences[sequence].name + ", " + at_position(page, position),
          view.name + ": " + page.data.sequences[sequence].letters[at] + " " +
            seqlift.number(view.observed[sequence * length + at])
        ];
        if (view.all) {
          lines.push("ACGT".split("").map(function (base, b) {
            return base + " " + seqlift.number(view.all[(sequence * length + at) * 4 + b]);
          }).join("   "));
        }
        return lines;
      }
    };
  };

  // Blue below, white, red above: told apart with any colour vision. `share` from -1 to 1.
  const shade = function (share, theme) {
    const steps = 60;
    if (!theme.shades) {
      theme.shades = [];
      for (let step = -steps; step <= steps; ++step) {
        const end = step < 0 ? [33, 102, 172] : [178, 24, 43];
        const part = Math.pow(Math.abs(step) / steps, 0.7);
        theme.shades.push("rgb(" + end.map(function (one, i) {
          return Math.round(theme.paper_rgb[i] + (one - theme.paper_rgb[i]) * part);
        }).join(",") + ")");
      }
    }
    return theme.shades[Math.round(Math.min(1, Math.max(-1, share)) * steps) + steps];
  };

  const heatmap = function (view, sequence) {
    const cell = 13;
    const height = 4 * cell + 8;
    const reach = Math.max(Math.abs(view.all_low), Math.abs(view.all_high)) || 1;
    return {
      height: height,
      draw: function (pen, top, page) {
        const length = page.data.last - page.data.first + 1;
        const letters = page.data.sequences[sequence].letters;
        const range = shown(page);
        const value = function (position, b) {
          return view.all[(sequence * length + position - page.data.first) * 4 + b];
        };
        "ACGT".split("").forEach(function (base, b) {
          pen.text(base, page.left - 8, top + 4 + (b + 0.5) * cell, 10, page.theme.faint, "end");
        });
        pen.clipped(page.left, top, page.width, height, function () {
          for (let b = 0; b < 4; ++b) {
            const y = top + 4 + b * cell;
            if (page.pixels < 1) {
              const offset = sequence * length * 4 + b;
              let drawn = -1;
              let size = 0;
              // The larger one of those above and below zero.
              draw_columns(view.all, offset, 4, range, page, function (position, v, x) {
                if (x !== drawn || Math.abs(v) > size) {
                  pen.rect(x - 0.5, y, 1.4, cell, shade(v / reach, page.theme));
                }
                drawn = x;
                size = Math.abs(v);
              });
              continue;
            }
            for (let position = range[0]; position <= range[1]; ++position) {
              const x = page.x(position - 0.5);
              pen.rect(x, y, page.pixels + 0.3, cell, shade(value(position, b) / reach, page.theme));
              if (page.pixels >= 7 && letters[position - page.data.first] === "ACGT"[b]) {
                pen.frame(x, y, page.pixels, cell, page.theme.faint);
              }
            }
          }
        });
      },
      tip: function (position, down, page) {
        const b = Math.floor((down - 4) / cell);
        if (b < 0 || b > 3) {
          return null;
        }
        const length = page.data.last - page.data.first + 1;
        const at = position - page.data.first;
        return [
          page.data.sequences[sequence].name + ", " + at_position(page, position),
          view.name + ": " + "ACGT"[b] + " " +
            seqlift.number(view.all[(sequence * length + at) * 4 + b])
        ];
      }
    };
  };

  // ---- profiles -------------------------------------------------------------------------------

  const series_colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

  const track = function (one, sequence) {
    const height = 64;
    const low = Math.min(0, one.low);
    const span = Math.max(0, one.high) - low || 1;
    const value = function (series, bin) {
      return one.values[(sequence * one.series.length + series) * one.bins + bin];
    };
    return {
      height: height,
      draw: function (pen, top, page) {
        const y = function (v) { return top + height - 6 - (v - low) / span * (height - 18); };
        const bin_of = function (position) {
          return Math.floor((position - one.start) / one.bin_width);
        };
        const first = Math.max(0, bin_of(page.from));
        const last = Math.min(one.bins - 1, bin_of(page.to));
        value_axis(pen, top, height - 12, low, low + span, page, y);
        pen.clipped(page.left, top, page.width, height, function () {
          one.series.forEach(function (name, series) {
            const points = [];
            for (let bin = first; bin <= last; ++bin) {
              const left = one.start - 0.5 + bin * one.bin_width;
              points.push([page.x(left), y(value(series, bin))]);
              points.push([page.x(left + one.bin_width), y(value(series, bin))]);
            }
            if (points.length > 0) {
              pen.steps(points, series_colours[series % series_colours.length]);
            }
          });
        });
        pen.line(page.left, y(0), page.left + page.width, y(0), page.theme.line);
        pen.text(one.name, page.left + 4, top + 8, 11, page.theme.faint, "start");
        let right = page.left + page.width - 4;
        if (one.series.length > 1) {
          one.series.slice().reverse().forEach(function (name, i) {
            const series = one.series.length - 1 - i;
            pen.text(name, right, top + 8, 11, series_colours[series % series_colours.length], "end");
            right -= name.length * 6.5 + 12;
          });
        }
      },
      tip: function (position, down, page) {
        const bin = Math.floor((position - one.start) / one.bin_width);
        if (bin < 0 || bin >= one.bins) {
          return null;
        }
        return [page.data.sequences[sequence].name + ", " + at_position(page, position)].concat(
          one.series.map(function (name, series) {
            return (one.series.length > 1 ? one.name + ", " + name : one.name) + ": " +
              seqlift.number(value(series, bin));
          }));
      }
    };
  };

  // ---- annotations ----------------------------------------------------------------------------

  const annotation_colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B58900", "#56B4E9"];

  // Boxes in as many lanes as it takes for none to lie on another.
  const annotation = function (one, number, sequence) {
    const lane = 15;
    const items = one.items.filter(function (item) {
      return item.sequence === null || item.sequence === sequence;
    }).slice().sort(function (a, b) { return a.start - b.start || a.end - b.end; });
    const ends = [];
    const lanes = items.map(function (item) {
      let free = ends.findIndex(function (end) { return end < item.start; });
      free = free < 0 ? ends.length : free;
      ends[free] = item.end;
      return free;
    });
    const colour = annotation_colours[number % annotation_colours.length];
    return {
      height: 18 + lane * Math.max(1, ends.length),
      draw: function (pen, top, page) {
        pen.text(one.name, page.left + 4, top + 8, 11, page.theme.faint, "start");
        pen.clipped(page.left, top, page.width, 18 + lane * Math.max(1, ends.length), function () {
          items.forEach(function (item, i) {
            if (item.end < page.from - 1 || item.start > page.to + 1) {
              return;
            }
            const x = page.x(item.start - 0.5);
            const width = Math.max(2, page.x(item.end + 0.5) - x);
            const y = top + 16 + lanes[i] * lane;
            pen.rect(x, y, width, lane - 3, colour);
            const arrow = item.strand === "-" ? "\u2039" : item.strand === "+" ? "\u203a" : "";
            const label = (arrow === "\u2039" ? "\u2039 " : "") + item.label +
              (arrow === "\u203a" ? " \u203a" : "");
            const left = Math.max(x, page.left);
            const room = Math.min(x + width, page.left + page.width) - left - 6;
            const fits = Math.floor(room / 6);
            if (fits >= 3 && label.trim()) {
              pen.text(label.length > fits ? label.slice(0, fits - 1) + "\u2026" : label,
                       left + 3, y + (lane - 3) / 2, 10, "#ffffff", "start");
            }
          });
        });
      },
      tip: function (position, down) {
        const row = Math.floor((down - 16) / lane);
        const i = items.findIndex(function (item, k) {
          return lanes[k] === row && item.start <= position && item.end >= position;
        });
        if (i < 0) {
          return null;
        }
        const item = items[i];
        return [one.name + (item.label ? ": " + item.label : ""),
                seqlift.position_text(item.start) + " to " + seqlift.position_text(item.end) +
                  (item.strand ? " (" + item.strand + ")" : "")].concat(item.notes);
      }
    };
  };

  // All rows for what is chosen; `sequences` are numbers from 0.
  seqlift.rows = function (data, state) {
    const rows = [overview(data.views[0], state.placed), axis()];
    const several = state.sequences.length > 1;
    state.sequences.forEach(function (sequence) {
      const place = data.sequences[sequence].place;
      rows.push(title(data.sequences[sequence].name, place ? place.text : ""));
      data.views.forEach(function (view) {
        rows.push(logo(view, sequence, several ? 76 : 120));
        if (view.all && state.heatmap) {
          rows.push(heatmap(view, sequence));
        }
      });
      data.tracks.forEach(function (one) { rows.push(track(one, sequence)); });
      data.annotations.forEach(function (one, i) { rows.push(annotation(one, i, sequence)); });
    });
    return rows;
  };
}());
