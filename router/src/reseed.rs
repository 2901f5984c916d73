//! First routers over HTTPS: when few are known, reseed hosts are asked one after the other, in a
//! random order, for a signed file (SU3). What they send is judged as any reseed file is; TLS only
//! keeps others from seeing it on its way.
//!
//! It is asked rarely: after failures ever more so, and not before the clock is right.

mod hosts;
mod schedule;

pub use hosts::{HOSTS, Host};
pub use schedule::Schedule;

use crate::config_file::ConfigFile;
use crate::files::News;
use crate::log::Log;
use crate::seeds::{self, Found, RESEED_BELOW, Reseed};
use crate::{clock, entropy};
use ramson_proto::rng::Rng;
use ramson_proto::router::clock::EARLIEST;
use ramson_proto::trace::Level;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Longest file, bytes: real ones have a tenth of it.
const FILE_MAX: u64 = 1 << 20;

/// How long one host may take, from the question for its address to the last byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts asked in one go, and RouterInfos that are enough.
const ROUND: usize = 5;
const ENOUGH: usize = 50;

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(2);

/// The network whose hosts are built in.
const PUBLIC: u8 = 2;

/// What hosts want to hear: they answer this program's name, which all routers give, and no other
/// (i2pd `Reseed.cpp`, Java `SSLEepGet`).
const USER_AGENT: &str = "Wget/1.11.4";

/// Asks hosts.
pub struct Fetcher {
    agent: Agent,
    urls: Vec<String>,
    config: ConfigFile,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Round {
    /// What was found.
    pub found: Found,
    /// Hosts, and what each said.
    pub told: Vec<String>,
}

impl Fetcher {
    /// Of a configuration; `None` when it wants no such thing.
    ///
    /// # Errors
    /// The file of certificates cannot be read, or the proxy is none.
    pub fn new(config: &ConfigFile) -> Result<Option<Self>, String> {
        Self::with_patience(config, PATIENCE)
    }

    fn with_patience(config: &ConfigFile, patience: Duration) -> Result<Option<Self>, String> {
        let seeds = &config.seeds;
        let own = || HOSTS.iter().map(|host| host.url.to_owned()).collect();
        let urls: Vec<String> = match seeds.hosts.is_empty() {
            true if config.network.net_id == PUBLIC => own(),
            _ => seeds.hosts.clone(),
        };
        if !seeds.https || urls.is_empty() {
            return Ok(None);
        }
        let mut agent = Agent::config_builder()
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(patience))
            .user_agent(USER_AGENT)
            .tls_config(tls(config)?);
        if !seeds.proxy.is_empty() {
            let proxy = ureq::Proxy::new(&format!("http://{}", seeds.proxy));
            agent = agent.proxy(Some(proxy.map_err(|e| format!("seeds.proxy: {e}"))?));
        } else {
            // Nothing but the configuration says where this goes.
            agent = agent.proxy(None);
        }
        Ok(Some(Self {
            agent: agent.build().into(),
            urls,
            config: config.clone(),
        }))
    }

    /// Asks hosts until enough is found. Waits for them.
    pub fn round(&self, rng: &mut Rng) -> Round {
        let mut urls: Vec<&String> = self.urls.iter().collect();
        rng.shuffle(&mut urls);
        let mut round = Round::default();
        for url in urls.into_iter().take(ROUND) {
            let told = match self.ask(url) {
                Ok(found) => {
                    let told = found.to_string();
                    round.found.join(found);
                    told
                }
                Err(e) => e,
            };
            round.told.push(format!("{}: {told}", name(url)));
            if round.found.routers.len() >= ENOUGH {
                break;
            }
        }
        round
    }

    /// One host: what its file holds.
    ///
    /// # Errors
    /// What went wrong, in words: not reached, no such file, too long, too slow, not signed by
    /// somebody who is trusted.
    fn ask(&self, url: &str) -> Result<Found, String> {
        let id = self.config.network.net_id;
        let slash = if url.ends_with('/') { "" } else { "/" };
        let url = format!("{url}{slash}i2pseeds.su3?netid={id}");
        let answer = self.agent.get(&url).call().map_err(|e| e.to_string())?;
        if answer.status() != 200 {
            return Err(format!("answers {}", answer.status()));
        }
        let mut body = answer.into_body();
        let bytes = body.with_config().limit(FILE_MAX).read_to_vec();
        let bytes = bytes.map_err(|e| e.to_string())?;
        match seeds::from_bytes(&bytes, &self.config, clock::now())? {
            Reseed::Routers(found) => Ok(found),
            Reseed::Later(why) => Err(why),
        }
    }
}

/// The host of a URL, for the log.
fn name(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.split('/').next().unwrap_or(rest)
}

fn tls(config: &ConfigFile) -> Result<TlsConfig, String> {
    let path = &config.seeds.tls_roots;
    let roots = if path.as_os_str().is_empty() {
        RootCerts::WebPki
    } else {
        let path = config.path(path);
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let all = CertificateDer::pem_file_iter(&path).map_err(|e| named(&e))?;
        let all: Result<Vec<_>, _> = all.collect();
        let all = all.map_err(|e| named(&e))?;
        if all.is_empty() {
            return Err(named(&"no certificate in it"));
        }
        let own = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        RootCerts::from(all.iter().map(own).collect::<Vec<_>>())
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// Asks when few routers are known, as long as somebody listens. `known` is how many there are.
pub async fn watch(fetcher: Fetcher, known: watch::Receiver<usize>, told: Sender<News>, log: Log) {
    let Ok(mut rng) = entropy::rng() else {
        return;
    };
    let mut schedule = Schedule::new(clock::now().mono, &mut rng);
    let fetcher = Arc::new(fetcher);
    while !told.is_closed() {
        tokio::time::sleep(LOOK).await;
        let now = clock::now();
        let few = *known.borrow() < RESEED_BELOW;
        if now.wall < EARLIEST || !few || !schedule.is_due(now.mono) {
            continue;
        }
        let asking = Arc::clone(&fetcher);
        let mut own = rng.fork();
        let asked = tokio::task::spawn_blocking(move || asking.round(&mut own));
        let Ok(round) = asked.await else {
            return;
        };
        let found = round.found.routers.len();
        schedule.asked(found > 0, clock::now().mono, &mut rng);
        for line in &round.told {
            log.line(Level::Info, format_args!("reseed: {line}"));
        }
        if found == 0 {
            log.line(Level::Error, "no reseed host has given a usable file");
        }
        let news = News {
            routers: round.found.routers,
            reseed: Some(round.told.join("; ")),
            ..News::default()
        };
        if told.send(news).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
