//! Content-Security-Policy: ours stands beside the site's own, and a browser keeps both.

use crate::client::http_head::trim;
use crate::client::site::Site;

/// A page may load from I2P sites, connect and post to them, be framed by them, and nobody else.
/// Everything that is not named falls back to the first directive; forms, bases and frames around
/// do not, and WebRTC has no sources.
pub const OURS: &str = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: \
    http://*.i2p:* ws://*.i2p:*; form-action 'self' http://*.i2p:*; \
    base-uri 'self' http://*.i2p:*; frame-ancestors 'self' http://*.i2p:*; webrtc 'block'";

/// Directives that make no sense here: without TLS images would vanish, and reports are sent
/// past every policy.
const REMOVED: &[&str] = &["upgrade-insecure-requests", "report-uri", "report-to"];

/// The site's own policy; `None` if nothing of it is left.
pub fn tamed(value: &str, site: &Site) -> Option<String> {
    let policies: Vec<String> = value
        .split(',')
        .map(|policy| {
            let kept = policy.split(';').map(trim).filter(|d| {
                let name = d.split([' ', '\t']).next().unwrap_or_default();
                !d.is_empty() && !REMOVED.contains(&name.to_ascii_lowercase().as_str())
            });
            site.renamed(&kept.collect::<Vec<_>>().join("; "))
        })
        .filter(|p| !p.is_empty())
        .collect();
    (!policies.is_empty()).then(|| policies.join(", "))
}
