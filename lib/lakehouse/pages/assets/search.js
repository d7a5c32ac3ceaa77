const box = document.getElementById("search"), field = document.getElementById("words");
const cards = [...document.querySelectorAll("[data-words]")];
function look() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) card.hidden = !words.every(word => card.dataset.words.includes(word));
  for (const section of document.querySelectorAll("section")) section.hidden = !section.querySelector("[data-words]:not([hidden])");
  const left = cards.filter(card => !card.hidden).length;
  document.getElementById("found").textContent = words.length ? `${left} of ${cards.length} tables` : "";
}
box.hidden = false;
field.addEventListener("input", look);
// A link to a table that is not among those found shows all again.
addEventListener("hashchange", () => {
  const card = document.getElementById(location.hash.slice(1));
  if (card && card.hidden) { field.value = ""; look(); card.scrollIntoView(); }
});
look();
