// Asks the handler as one types, and shows what it finds.

const form = document.querySelector("form");
const zones = document.querySelector("#zones");
const count = document.querySelector("#count");
let last = 0;

function row(zone) {
  const tr = document.createElement("tr");
  for (const text of [zone.zone, zone.countries.join(", "), zone.comment]) {
    tr.appendChild(document.createElement("td")).textContent = text;
  }
  return tr;
}

async function search() {
  const turn = ++last;
  const query = new URLSearchParams(new FormData(form));
  const answer = await fetch(`/search?${query}`);
  const found = answer.ok ? await answer.json() : [];
  // An answer that came later than the next one is old.
  if (turn !== last) return;
  zones.replaceChildren(...found.map(row));
  count.textContent = answer.ok ? `${found.length} zones` : `The server says ${answer.status}.`;
  history.replaceState(null, "", `?${query}`);
}

form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
form.addEventListener("input", search);
form.q.value = new URLSearchParams(location.search).get("q") ?? "";
search();
