// Draws every figure's chart as SVG in the width that it has, and again when that changes.
(() => {
  "use strict";
  const say = (plot, text) => {
    const words = document.createElement("p");
    words.textContent = text;
    plot.replaceChildren(words);
  };
  const fail = (plot, error) => {
    say(plot, "Not drawn: " + error.message);
    console.error(error);
  };
  const draw_in = (plot, figure) => {
    const width = Math.floor(plot.clientWidth);
    if (width === 0 || plot.dataset.width === String(width)) return;
    plot.dataset.width = String(width);
    if (plot.view) plot.view.finalize();
    if (typeof vega === "undefined") {
      say(plot, "Not drawn: this report was written by a program that was built without Vega. The table below holds the figures.");
      return;
    }
    const spec = JSON.parse(figure.querySelector("script").textContent);
    spec.width = Math.min(width, spec.usermeta && spec.usermeta.widest || width);
    spec.signals[0].value = spec.width;
    plot.view = new vega.View(vega.parse(spec), {renderer: "svg", container: plot, logLevel: vega.Warn});
    plot.view.runAsync().catch((error) => fail(plot, error));
  };
  // A chart that fails leaves the others as they are.
  const draw = (figure) => {
    const plot = figure.querySelector(".plot");
    try {
      draw_in(plot, figure);
    } catch (error) {
      fail(plot, error);
    }
  };
  const figures = Array.from(document.querySelectorAll("figure"));
  const draw_all = () => figures.forEach(draw);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw_all, 120); });
  draw_all();
})();
