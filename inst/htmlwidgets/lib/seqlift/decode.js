// What R/report_view_payload.R packs: numbers as the upper three bytes of float32 (16 significant bits,
// 4.8 digits), base64.
window.seqlift = window.seqlift || {};

seqlift.decode = function (text) {
  const bytes = atob(text);
  const count = bytes.length / 3;
  const words = new Uint32Array(count);
  for (let i = 0; i < count; ++i) {
    words[i] = (bytes.charCodeAt(3 * i) << 8 | bytes.charCodeAt(3 * i + 1) << 16 |
      bytes.charCodeAt(3 * i + 2) << 24) >>> 0;
  }
  return new Float32Array(words.buffer);
};

// A payload with its numbers in place of their text. `observed` is [sequence][position], `all`
// [sequence][position][base], the values of a track [sequence][series][bin]: one flat array each.
seqlift.unpack = function (x) {
  const views = x.views.map(function (view) {
    return Object.assign({}, view, {
      observed: seqlift.decode(view.observed),
      all: view.all ? seqlift.decode(view.all) : null
    });
  });
  const tracks = x.tracks.map(function (track) {
    return Object.assign({}, track, { values: seqlift.decode(track.values) });
  });
  return Object.assign({}, x, { views: views, tracks: tracks });
};

seqlift.number = function (value) {
  if (value === 0) {
    return "0";
  }
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
};

seqlift.position_text = function (position) {
  return String(Math.round(position)).replace(/\B(?=(\d{3})+$)/g, ",");
};

// Round numbers between two limits, about `count` of them, none closer than `least`.
seqlift.ticks = function (low, high, count, least) {
  const rough = (high - low) / Math.max(count, 1);
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = Math.max([1, 2, 5, 10].map(function (one) { return one * power; })
    .find(function (one) { return one >= rough * 0.999; }), least);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) {
    ticks.push(k * step);
  }
  return ticks;
};
