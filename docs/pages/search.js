// Browsers start no worker for a page that is read from a folder. There, what
// searches runs in a hidden frame instead, and the index comes as a script.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      this.inside = frame.contentWindow;
      this.inside.postMessage = (data) => this.tell(this, data);
      this.ready = new Promise((resolve) => {
        const script = frame.contentDocument.createElement("script");
        script.src = url;
        script.onload = resolve;
        frame.contentDocument.body.appendChild(script);
      });
    }

    async postMessage(data) {
      await this.ready;
      this.tell(this.inside, data);
    }

    tell(receiver, data) {
      receiver.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
