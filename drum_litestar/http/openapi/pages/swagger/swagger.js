import { openDocument } from "./open-document.js";

openDocument("openapi.json", (spec, token) => {
  const ui = SwaggerUIBundle({
    spec,
    domNode: document.getElementById("document"),
    deepLinking: true,
    validatorUrl: null,
    onComplete: () => {
      if (token) {
        ui.preauthorizeApiKey("token", token);
      }
    },
  });
});
