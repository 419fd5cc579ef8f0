// The page of a recording: the data lies in the page itself.
new Player(new Recording(pageData()), document.getElementById("app"));
