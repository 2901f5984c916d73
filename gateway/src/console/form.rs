//! Bodies of requests: the fields of a form, and a file that is sent up.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Fields of a form, and bytes of one name and value.
const FIELDS_MAX: usize = 16;
const FIELD_MAX: usize = 1024;

/// What a form says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    fields: BTreeMap<String, String>,
    /// The file, if one was chosen.
    pub file: Option<Vec<u8>>,
}

impl Form {
    /// A field; one that is missing is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn put(&mut self, name: &str, value: &str) {
        let fits = name.len() <= FIELD_MAX && value.len() <= FIELD_MAX;
        if fits && self.fields.len() < FIELDS_MAX {
            self.fields.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Of a body and its kind; `None` when it is no form.
    #[must_use]
    pub fn parse(content_type: &str, body: &[u8]) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => {
                let mut form = Self::default();
                for (name, value) in form_urlencoded::parse(body) {
                    form.put(&name, &value);
                }
                Some(form)
            }
            "multipart/form-data" => {
                let boundary = multer::parse_boundary(content_type).ok()?;
                ready(parts(boundary, body.to_vec()))?
            }
            _ => None,
        }
    }
}

async fn parts(boundary: String, body: Vec<u8>) -> Option<Form> {
    let whole = futures_util::stream::once(async move { Ok::<_, Infallible>(body) });
    let mut multipart = multer::Multipart::new(whole, boundary);
    let mut form = Form::default();
    for _ in 0..FIELDS_MAX {
        let Some(part) = multipart.next_field().await.ok()? else {
            return Some(form);
        };
        let name = part.name().unwrap_or_default().to_owned();
        let is_file = part.file_name().is_some();
        let bytes = part.bytes().await.ok()?;
        if is_file {
            form.file = Some(bytes.to_vec()).filter(|b| !b.is_empty());
        } else {
            form.put(&name, std::str::from_utf8(&bytes).ok()?);
        }
    }
    // More parts than any form of ours has.
    None
}

/// The outcome of something that waits for nothing.
fn ready<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multipart(parts: &str) -> Option<Form> {
        let body = parts.replace('\n', "\r\n");
        Form::parse("multipart/form-data; boundary=XX", body.as_bytes())
    }

    #[test]
    fn fields_are_read_from_both_kinds_of_form() {
        let kind = "application/x-www-form-urlencoded; charset=UTF-8";
        let form = Form::parse(kind, b"a=1+2%263&b=&a=last").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c")),
            ("last", "", "")
        );
        let form = multipart(
            "--XX\nContent-Disposition: form-data; name=\"token\"\n\nabc\n\
             --XX\nContent-Disposition: form-data; name=\"file\"; filename=\"x.su3\"\n\
             Content-Type: application/octet-stream\n\nI2Psu3\n--XX--\n",
        );
        let form = form.unwrap();
        assert_eq!(form.get("token"), "abc");
        assert_eq!(form.file.as_deref(), Some(b"I2Psu3".as_slice()));
        let none =
            "--XX\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\n\n\n--XX--\n";
        assert_eq!(multipart(none).unwrap().file, None);
    }

    #[test]
    fn what_is_no_form_is_none_and_what_is_too_much_is_left_out() {
        assert_eq!(Form::parse("text/plain", b"a=1"), None);
        assert_eq!(Form::parse("multipart/form-data", b"a=1"), None);
        assert_eq!(multipart("--XX\nContent-Disposition: form-data; na"), None);
        assert_eq!(multipart(""), None);
        let part = "--XX\nContent-Disposition: form-data; name=\"a\"\n\n1\n";
        assert_eq!(multipart(&format!("{}--XX--\n", part.repeat(40))), None);
        let kind = "application/x-www-form-urlencoded";
        let many: String = (0..40).map(|n| format!("f{n}=1&")).collect();
        assert_eq!(Form::parse(kind, many.as_bytes()).unwrap().fields.len(), 16);
        let long = format!("a={}", "x".repeat(2000));
        assert_eq!(Form::parse(kind, long.as_bytes()).unwrap().get("a"), "");
        for n in 0..=255u8 {
            let body = [n, b'=', b'%', n];
            let _ = Form::parse(kind, &body);
            let _ = Form::parse("multipart/form-data; boundary=XX", &body.repeat(50));
        }
    }
}
