// Reading needs no script; this one only sorts a table by the column that is clicked.
document.querySelectorAll("table.data").forEach(function (table) {
  table.querySelectorAll("thead th").forEach(function (head, index) {
    head.tabIndex = 0;
    head.classList.add("sorts");
    function sort() {
      var up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var body = table.tBodies[0];
      Array.from(body.rows).sort(function (one, other) {
        var a = one.cells[index].dataset.v, b = other.cells[index].dataset.v;
        if (a === "" || b === "") { return (a === "") - (b === ""); }
        var x = Number(a), y = Number(b);
        var order = isNaN(x) || isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
        return up ? order : -order;
      }).forEach(function (row) { body.appendChild(row); });
    }
    head.addEventListener("click", sort);
    head.addEventListener("keydown", function (event) { if (event.key === "Enter") { sort(); } });
  });
});
