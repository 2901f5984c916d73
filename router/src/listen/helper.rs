//! What becomes of a request that brings an address along, once it is known whether its name is.

use super::accepted::Accepted;
use super::http::HEAD_TIME;
use super::local::Local;
use super::pump::End;
use ramson_proto::client::error_page::{self, Offer, Page};
use ramson_proto::client::helper::{self, FORM_MAX, Helper};
use ramson_proto::client::http_request::Request;
use ramson_proto::router::output::Refusal;
use ramson_proto::wire::hash::DestHash;
use std::cell::RefCell;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// Who asks for which name.
pub struct Asker<'a> {
    /// Names that were taken.
    pub accepted: &'a RefCell<Accepted>,
    /// Isolation tag of the client.
    pub tag: &'a [u8],
}

impl Asker<'_> {
    /// The page to answer with; `None` for a request that goes its way. `found` is what the name
    /// means so far, `rest` what came behind the request's head.
    pub async fn judge<S: Local>(
        &self,
        socket: &mut S,
        request: &Request,
        found: &Result<DestHash, End>,
        rest: &[u8],
    ) -> Option<Page> {
        // A destination in base64 or base32 needs no help.
        if request.host.ends_with(".b32.i2p") || !request.host.ends_with(".i2p") {
            return None;
        }
        let Helper { dest, clean } = helper::find(request.target())?;
        let offer = dest.as_ref().map(|dest| Offer {
            dest,
            path: &clean,
            port: request.port,
        });
        match (found, offer) {
            // What is sent to a known site is the site's.
            (Ok(_), _) if !request.safe => None,
            (Ok(known), Ok(offer)) if known != offer.dest => {
                Some(error_page::conflict(known, offer))
            }
            (Ok(_), _) => Some(error_page::moved(&clean)),
            (Err(End::Refused(Refusal::UnknownName)), Ok(offer)) => {
                let (name, accepted) = (&request.host, self.accepted);
                let token = accepted.borrow().token(self.tag, name, offer.dest);
                if brings(socket, request, rest, &token).await {
                    accepted.borrow_mut().insert(self.tag, name, *offer.dest);
                    return Some(error_page::moved(&clean));
                }
                Some(error_page::confirm(offer, &token))
            }
            (Err(End::Refused(Refusal::UnknownName)), Err(why)) => {
                Some(error_page::bad_helper(*why))
            }
            (Err(_), _) => None,
        }
    }
}

/// Whether the request is our form with the token.
async fn brings<S: Local>(socket: &mut S, request: &Request, rest: &[u8], token: &str) -> bool {
    let Some(len) = request.form_len().filter(|n| *n <= FORM_MAX) else {
        return false;
    };
    let mut form = rest.get(..len).unwrap_or(rest).to_vec();
    let had = form.len();
    form.resize(len, 0);
    let missing = form.get_mut(had..).unwrap_or_default();
    let read = timeout(HEAD_TIME, socket.read_exact(missing)).await;
    matches!(read, Ok(Ok(_))) && helper::brings(&form, token)
}
