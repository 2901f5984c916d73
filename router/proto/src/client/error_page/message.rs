//! The pages for requests and answers that are not passed on.

use super::Page;
use crate::client::http_head::HeadError;
use crate::client::http_request::RequestError;
use crate::client::http_response::AnswerError;

/// The page for a request that the filter refused.
#[must_use]
pub fn bad_request(why: RequestError) -> Page {
    match why {
        RequestError::Head(HeadError::TooLarge) => Page::new(
            "431 Request Header Fields Too Large",
            "The request is too large",
            "The head of the request is above this router's limit of 32 KiB and 128 lines.",
        )
        .advice("Large cookies are the usual cause: delete those of this site."),
        RequestError::Head(HeadError::Malformed) | RequestError::RequestLine => Page::new(
            "400 Bad Request",
            "The request is malformed",
            "What came from this device is not a request of HTTP/1.0 or HTTP/1.1.",
        )
        .advice("Check the address, and that the program speaks HTTP to this router."),
        RequestError::NoHost => Page::new(
            "400 Bad Request",
            "The request names no site",
            "It has no host, or more than one.",
        )
        .advice("Start the address with http:// and the name of a site."),
        RequestError::NotI2p => Page::new(
            "403 Forbidden",
            "Only I2P sites can be opened here",
            "This name or address belongs to the Internet. From here there is a way to I2P only, \
             so that nothing goes out unprotected.",
        )
        .advice("Open sites of the Internet with a browser that does not go through this router."),
        RequestError::BadName => super::refusal::bad_name(),
        RequestError::Misdirected => Page::new(
            "421 Misdirected Request",
            "The address of this name has changed",
            "This device remembers an address that stands for another site by now. Neither of the \
             two was asked.",
        )
        .advice("Open the page again in a minute; a browser that is started anew asks at once.")
        .retry(20),
        RequestError::Length => Page::new(
            "400 Bad Request",
            "The length of the request is unclear",
            "It has no readable length, or says it in more than one way.",
        )
        .advice("Send either one Content-Length, or chunks as HTTP/1.1 has them."),
        RequestError::Scheme => Page::new(
            "400 Bad Request",
            "Only http can be opened here",
            "The tunnels of I2P encrypt everything already.",
        )
        .advice("Start the address with http://"),
    }
}

/// The page for an answer that is not passed on.
#[must_use]
pub fn bad_answer(why: AnswerError) -> Page {
    match why {
        AnswerError::Malformed => Page::new(
            "502 Bad Gateway",
            "The site's answer is malformed",
            "What came back is not a response of HTTP/1.0 or HTTP/1.1, or ended within its head.",
        )
        .advice("It may be another service than a web server. If it happens again, tell the site."),
        AnswerError::TooLarge => Page::new(
            "502 Bad Gateway",
            "The head of the answer is above this router's limit",
            "The site answered, but this router takes at most 128 KiB and 1024 lines of headers.",
        )
        .advice(
            "The limit is ours. Deleting the cookies of the site may make its answers smaller.",
        ),
        AnswerError::Elsewhere(to) => Page::new(
            "403 Forbidden",
            "The site sends its visitors out of I2P",
            "It answered with a redirect to an address that is not under .i2p. Whoever follows it \
             shows the site's operator, or others, who asks.",
        )
        .fact("It leads to", to)
        .advice("If you trust it, open that address with a browser of its own."),
    }
}

/// The page for a site that took a request and then said nothing for so many seconds.
#[must_use]
pub fn silent(secs: u64) -> Page {
    Page::new(
        "504 Gateway Timeout",
        "The site took the request and says nothing",
        "The connection stands, but no answer began in this time. The site's server is busy or \
         stuck.",
    )
    .fact("Waited", format!("{} minutes", secs / 60))
    .advice("Wait a little before you ask it again.")
}

/// Sends the browser on, to a path of the same host; `path` is one that a request had.
#[must_use]
pub fn moved(path: &str) -> Page {
    let mut page = Page::new("303 See Other", "Go on", "The page is at another address.");
    // Two slashes would begin another host's address.
    page.leads = Some(format!("/{}", path.trim_start_matches(['/', '\\'])));
    page
}
