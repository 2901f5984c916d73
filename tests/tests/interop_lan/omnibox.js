// What the browser's own page about its address bar says of a text.
(async () => {
    const shown = (n) => n.nodeName === "STYLE" ? "" :
        (n.shadowRoot ? shown(n.shadowRoot) : "") + (n.nodeType === 3 ? n.data.trim() + " " :
        Array.from(n.childNodes).map(shown).join(""));
    const field = document.querySelector("omnibox-input").shadowRoot.querySelector("#input-text");
    field.value = TYPED;
    field.dispatchEvent(new Event("input", {bubbles: true, composed: true}));
    for (let n = 0; n < 100; n++) {
        await new Promise((done) => setTimeout(done, 50));
        const text = shown(document.querySelector("omnibox-output"));
        const done = text.split("all providers done = true")[1];
        if (!done || !done.includes("-what-you-typed")) continue;
        return done.split("-what-you-typed")[1].match(/https?:\/\/\S+/)[0];
    }
    return "";
})()
