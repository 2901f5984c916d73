// Asks the site, and loads from it, as a page does.
window.ask = async () => {
    const wait = {cache: "no-store", signal: AbortSignal.timeout(8000)};
    const answer = await fetch("/me", wait);
    return await answer.text() === "hello nobody" ? "ok" : "something else";
};
window.load = async () => {
    window.cut = null;
    window.got = 0;
    try {
        const answer = await fetch("/bytes/200000000", {cache: "no-store"});
        const reader = answer.body.getReader();
        for (;;) {
            const {done, value} = await reader.read();
            if (done) break;
            window.got += value.length;
        }
        window.cut = "whole, " + window.got;
    } catch (why) {
        window.cut = "cut: " + why;
    }
};
0;
