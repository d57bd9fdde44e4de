// Pictures take the room that the text leaves, at least 250 pixels of it. What is still too tall gets smaller letters.
function fit(slide) {
  const over = () => slide.scrollHeight - slide.clientHeight;
  const pictures = slide.querySelectorAll("img");
  for (const picture of pictures) picture.style.height = "720px";
  const less = over() / pictures.length;
  for (const picture of pictures)
    picture.style.height = Math.min(Math.max(720 - less, 250), 1.6 * picture.naturalHeight) + "px";
  const wide = () => slide.scrollWidth > slide.clientWidth;
  for (let size = 29; (over() > 0 || wide()) && size >= 15; size--) slide.style.fontSize = size + "px";
}
Reveal.initialize({ width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: "c/t",
  transition: "none", plugins: [RevealNotes] });
for (const event of ["ready", "slidechanged"]) Reveal.on(event, () => fit(Reveal.getCurrentSlide()));
Reveal.on("pdf-ready", () => document.querySelectorAll(".slides section:not(.stack)").forEach(fit));
Reveal.addKeyBinding({ keyCode: 67, key: "C", description: "show the code" },
  () => document.body.classList.toggle("show-code"));
