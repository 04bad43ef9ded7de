HTMLWidgets.widget({
  name: "view_attributions",
  type: "output",
  factory: function (el) {
    const viewer = seqlift.viewer(el);
    el.seqlift = viewer;
    return {
      renderValue: function (x) { viewer.show(x); },
      resize: function () { viewer.resize(); }
    };
  }
});
