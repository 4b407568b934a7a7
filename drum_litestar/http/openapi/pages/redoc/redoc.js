import { openDocument } from "../open-document.js";

openDocument("../openapi.json", (spec) => {
  Redoc.init(spec, { hideDownloadButtons: true, nativeScrollbars: true }, document.getElementById("document"));
});
