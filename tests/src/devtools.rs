//! One Chromium, driven by its DevTools protocol: tabs, what is shown in them, pictures.
//!
//! It is the browser as it comes, without a window; everything it asks for goes by its own network
//! stack in the namespace it was started in.

mod socket;

use std::fmt::Display;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::{About, Fault, Outcome};
use crate::process::Process;
use crate::{places, wall};
use socket::Socket;

/// One answer of the browser itself, which does not wait for sites, comes within this time.
const PATIENCE: Duration = Duration::from_secs(30);

const STEP: Duration = Duration::from_millis(50);

/// A running browser; it ends when dropped.
pub struct Browser {
    socket: Socket,
    next: u64,
    process: Process,
}

/// A page in a tab of its own.
#[derive(Clone, Debug)]
pub struct Tab {
    target: String,
    session: String,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Look {
    /// A small phone.
    pub const PHONE: Look = Look {
        width: 360,
        height: 740,
        dark: false,
    };
    pub const PHONE_DARK: Look = Look {
        dark: true,
        ..Look::PHONE
    };
    /// A window on a desk.
    pub const DESK: Look = Look {
        width: 1280,
        height: 800,
        dark: false,
    };
}

impl Browser {
    /// Starts `chromium`, a command that may run in a namespace, with its files in `folder`.
    /// `connect` reaches a port of the loopback that it runs on.
    pub fn start(
        mut chromium: Command,
        folder: &Path,
        connect: impl FnOnce(u16) -> Outcome<TcpStream>,
    ) -> Outcome<Browser> {
        let log = folder.with_extension("log");
        let door = folder.join("DevToolsActivePort");
        let _ = fs::remove_file(&door);
        chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu"]);
        chromium.args(["--no-first-run", "--disable-dev-shm-usage"]);
        chromium.args(["--disable-background-networking", "--hide-scrollbars"]);
        chromium.args(["--disable-popup-blocking", "--remote-debugging-port=0"]);
        chromium.arg(format!("--user-data-dir={}", folder.display()));
        chromium.arg("about:blank");
        let mut process = Process::start("chromium", chromium, &log)?;
        let said = wall::until("chromium's door", PATIENCE, STEP, || {
            process.check()?;
            let text = fs::read_to_string(&door).unwrap_or_default();
            Ok(text.contains("/devtools/").then_some(text))
        })?;
        let mut lines = said.lines();
        let mut next = || lines.next().ok_or_else(|| Fault::new("chromium's door"));
        let port = next()?.parse().map_err(|_| Fault::new("chromium's port"))?;
        let path = next()?;
        let socket = Socket::open(connect(port)?, path, PATIENCE)?;
        Ok(Browser {
            socket,
            next: 1,
            process,
        })
    }

    /// The same on this machine's own loopback.
    pub fn here(folder: &Path) -> Outcome<Browser> {
        let connect = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).about("chromium");
        Browser::start(Command::new("chromium"), folder, connect)
    }

    /// Asks the browser, or a tab; what it answers.
    fn ask(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Outcome<Value> {
        let id = self.next;
        self.next += 1;
        let mut question = json!({"id": id, "method": method, "params": params});
        if let Some(tab) = tab {
            question["sessionId"] = json!(tab.session);
        }
        self.process.check()?;
        self.socket.send(&question.to_string())?;
        let end = wall::now() + PATIENCE;
        // Between question and answer come events, of which there is no need.
        while wall::now() < end {
            let text = self.socket.receive().about(method)?;
            let mut said: Value = serde_json::from_str(&text).map_err(|e| fault(method, &e))?;
            if said["id"] == json!(id) {
                return match said.get("error") {
                    Some(error) => Err(fault(method, error)),
                    None => Ok(said["result"].take()),
                };
            }
        }
        Err(fault(method, &"no answer"))
    }

    /// An empty tab.
    pub fn tab(&mut self) -> Outcome<Tab> {
        let made = self.ask(None, "Target.createTarget", json!({"url": "about:blank"}))?;
        self.attach(&text(&made["targetId"])?)
    }

    fn attach(&mut self, target: &str) -> Outcome<Tab> {
        let params = json!({"targetId": target, "flatten": true});
        let session = self.ask(None, "Target.attachToTarget", params)?;
        let tab = Tab {
            target: target.to_owned(),
            session: text(&session["sessionId"])?,
        };
        self.ask(Some(&tab), "Page.enable", json!({}))?;
        Ok(tab)
    }

    /// Addresses of all pages that are open.
    pub fn pages(&mut self) -> Outcome<Vec<String>> {
        let all = self.ask(None, "Target.getTargets", json!({}))?;
        let all = all["targetInfos"].as_array().cloned().unwrap_or_default();
        let pages = all.iter().filter(|one| one["type"] == json!("page"));
        pages.map(|one| text(&one["url"])).collect()
    }

    pub fn close(&mut self, tab: &Tab) -> Outcome<()> {
        let params = json!({"targetId": tab.target});
        self.ask(None, "Target.closeTarget", params).map(|_| ())
    }

    /// Goes to an address as one does who has typed it in full; returns when the browser has begun
    /// to show what came, an error of its own among it: that is what is returned, or nothing.
    pub fn go(&mut self, tab: &Tab, url: &str) -> Outcome<Option<String>> {
        let params = json!({"url": url, "transitionType": "typed"});
        let gone = self.ask(Some(tab), "Page.navigate", params)?;
        Ok(gone["errorText"].as_str().map(str::to_owned))
    }

    /// The value of an expression in the page, waited for when it is a promise.
    pub fn value(&mut self, tab: &Tab, expression: &str) -> Outcome<Value> {
        let params = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
            "userGesture": true,
        });
        let mut got = self.ask(Some(tab), "Runtime.evaluate", params)?;
        match got.get("exceptionDetails") {
            Some(why) => Err(fault(expression, why)),
            None => Ok(got["result"]["value"].take()),
        }
    }

    /// The text that the page shows.
    pub fn shown(&mut self, tab: &Tab) -> Outcome<String> {
        let value = self.value(tab, "document.body ? document.body.innerText : ''")?;
        text(&value)
    }

    /// Waits until the page shows a text; what else it shows.
    pub fn until_shown(&mut self, tab: &Tab, what: &str, limit: Duration) -> Outcome<String> {
        let mut last = String::new();
        let found = wall::until(what, limit, STEP, || {
            // Between two pages there is none to ask.
            last = self.shown(tab).unwrap_or_default();
            Ok(last.contains(what).then(|| last.clone()))
        });
        found.about(&format!("shown at last: {last}"))
    }

    /// Looks at the page from now on as said.
    pub fn look(&mut self, tab: &Tab, look: Look) -> Outcome<()> {
        let mobile = look.width < 600;
        let metrics = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": mobile,
        });
        self.ask(Some(tab), "Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask(Some(tab), "Emulation.setEmulatedMedia", media)?;
        Ok(())
    }

    /// A picture of the whole page, in `file`, and the page's width.
    pub fn picture(&mut self, tab: &Tab, file: &Path) -> Outcome<f64> {
        let layout = self.ask(Some(tab), "Page.getLayoutMetrics", json!({}))?;
        let params = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.ask(Some(tab), "Page.captureScreenshot", params)?;
        let bytes = data_encoding::BASE64
            .decode(text(&shot["data"])?.as_bytes())
            .map_err(|e| fault("picture", &e))?;
        places::write(file, bytes)?;
        let width = layout["cssContentSize"]["width"].as_f64();
        width.ok_or_else(|| Fault::new("a page without width"))
    }

    /// The end of what the browser has said on its terminal.
    pub fn last_words(&self) -> String {
        places::tail(self.process.log(), 600)
    }
}

fn text(value: &Value) -> Outcome<String> {
    let found = value.as_str().map(str::to_owned);
    found.ok_or_else(|| fault("no text", value))
}

fn fault(what: &str, why: &impl Display) -> Fault {
    Fault::new(format!("{what}: {why}"))
}
