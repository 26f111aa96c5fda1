// Put the content in place again when the server says that it has changed. Without this script the
// page reads the same; it only does not change by itself.
"use strict";
const main = document.getElementById("main");
const content = document.getElementById("content");
if (main && content && main.dataset.live && "EventSource" in window) {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("content", (event) => {
    const states = Array.from(content.querySelectorAll("details"), (details) => details.open);
    content.innerHTML = JSON.parse(event.data);
    content.querySelectorAll("details").forEach((details, place) => {
      if (place < states.length) details.open = states[place];
    });
    content.classList.remove("fresh");
    void content.offsetWidth; // so that the animation begins again
    content.classList.add("fresh");
  });
  addEventListener("pagehide", () => source.close());
}
