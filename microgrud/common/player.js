  // The controls of a player: `draw(step, arriving)` shows a step, and `pause` is the time for one, in milliseconds.
  function player(root, last, pause, draw) {
    var step = 0, timer = null, button = {}, slider = root.querySelector("input");
    var sentence = root.querySelector(".sentence");
    root.querySelectorAll("button").forEach(function (b) { button[b.dataset.go] = b; });
    root.querySelector(".controls").hidden = false;
    function show(wanted, arriving) {
      step = Math.max(0, Math.min(last, wanted));
      draw(step, arriving);
      slider.value = step;
      // A button that is disabled loses the keyboard, so that the next arrow key would scroll the page.
      Object.keys(button).forEach(function (name) {
        var end = { first: 0, back: 0, on: last, last: last }[name];
        if (end !== undefined) { button[name].setAttribute("aria-disabled", step === end); }
      });
      if (step === last) { stop(); }
    }
    function offer(name) {
      button.play.textContent = name;
      button.play.setAttribute("aria-label", name);
      // Several sentences a second cannot be read aloud.
      sentence.setAttribute("aria-live", name === "pause" && pause < 1000 ? "off" : "polite");
    }
    function stop() {
      window.clearInterval(timer);
      timer = null;
      offer("play");
    }
    function play() {
      if (timer !== null) { stop(); return; }
      if (step === last) { show(0); }
      offer("pause");
      timer = window.setInterval(function () { show(step + 1); }, pause);
    }
    var go = {
      first: function () { stop(); show(0); }, back: function () { stop(); show(step - 1); }, play: play,
      on: function () { stop(); show(step + 1); }, last: function () { stop(); show(last); }
    };
    Object.keys(button).forEach(function (name) { button[name].addEventListener("click", go[name]); });
    slider.addEventListener("input", function () { var wanted = Number(slider.value); stop(); show(wanted); });
    var keys = { ArrowLeft: "back", ArrowRight: "on", Home: "first", End: "last", " ": "play" };
    root.addEventListener("keydown", function (event) {
      var name = keys[event.key];
      if (!name || event.altKey || event.ctrlKey || event.metaKey || event.target === slider) { return; }
      if (event.key === " " && event.target.tagName === "BUTTON" || event.target.tagName === "SUMMARY") { return; }
      event.stopPropagation(); // Jupyter has other uses for these keys
      if (event.target.matches(".picture") && event.target.scrollWidth > event.target.clientWidth) { return; }
      event.preventDefault();
      go[name]();
    });
    show(0, true);
  }
