// On narrow screens the contents lie over the page; whoever has chosen a section wants to see it.
document.addEventListener("click", (event) => {
  if (event.target.closest("#pst-secondary-sidebar-modal a")) event.target.closest("dialog").close();
});
