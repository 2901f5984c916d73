use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// The file of 2021; its signer's certificate is good until 2030.
fn good() -> Vec<u8> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    std::fs::read(vectors.join("i2pseeds.su3")).unwrap()
}

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A host on loopback whose certificate is for `localhost`, or has ended.
    fn host(&self, expired: bool) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, config) = (stream.unwrap(), Arc::clone(&config));
                // Whoever does not like what he gets hangs up.
                std::thread::spawn(move || serve(stream, config));
            }
        });
        address
    }
}

/// Answers by the first part of the path.
fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).unwrap();
    let mut tls = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(head.contains("user-agent: wget/1.11.4\r\n"), "{head}");
    assert!(!head.contains("accept-language"), "{head}");
    let path = head.split(' ').nth(1).unwrap_or_default();
    assert!(path.ends_with("/i2pseeds.su3?netid=2"), "{path}");
    let mut file = good();
    let length = file.len();
    let ok = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    match path.split('/').nth(1).unwrap_or_default() {
        "good" => tls.write_all(&[ok(length).as_bytes(), &file].concat())?,
        "forged" => {
            file[length / 2] ^= 1;
            tls.write_all(&[ok(length).as_bytes(), &file].concat())?;
        }
        "cut" => tls.write_all(&[ok(length).as_bytes(), &file[..length / 2]].concat())?,
        "short" => tls.write_all(&[ok(length / 2).as_bytes(), &file[..length / 2]].concat())?,
        "endless" => {
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                tls.write_all(&[7; 65_536])?;
            }
        }
        "slow" => {
            tls.write_all(ok(length).as_bytes())?;
            for byte in file {
                tls.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "silent" => std::thread::sleep(Duration::from_secs(20)),
        "away" => tls.write_all(
            b"HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n",
        )?,
        _ => tls.write_all(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n")?,
    }
    tls.conn.send_close_notify();
    tls.flush()
}

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fetcher that trusts an authority alone and asks these URLs.
fn fetcher(authority: &Authority, urls: Vec<String>, proxy: &str) -> (Fetcher, Place) {
    let name = format!("ramson-reseed-{}-{}", std::process::id(), urls.len());
    let place = Place(std::env::temp_dir().join(name + proxy));
    std::fs::create_dir_all(&place.0).unwrap();
    let roots = place.0.join("roots.pem");
    std::fs::write(&roots, &authority.pem).unwrap();
    let mut config = ConfigFile::default();
    config.seeds.hosts = urls;
    config.seeds.tls_roots = roots;
    config.seeds.proxy = proxy.to_owned();
    let patience = Duration::from_secs(2);
    let fetcher = Fetcher::with_patience(&config, patience).unwrap();
    (fetcher.unwrap(), place)
}

#[test]
fn good_files_are_taken_and_all_others_are_named_with_what_is_wrong() {
    let authority = Authority::new();
    let (host, expired) = (authority.host(false), authority.host(true));
    let stranger = Authority::new().host(false);
    let at = |to: SocketAddr, what: &str| format!("https://localhost:{}/{what}", to.port());
    let (asking, _place) = fetcher(&authority, vec![at(host, "good")], "");
    let found = asking.ask(&at(host, "good")).unwrap();
    assert!(found.routers.len() > 60, "{found}");
    let mut wrong = Vec::new();
    for (url, words) in [
        (at(host, "forged"), "signature"),
        (at(host, "cut/"), ""),
        (at(host, "short"), "truncated"),
        (
            at(host, "endless"),
            "larger than request limit|disconnected",
        ),
        (at(host, "slow"), "timeout"),
        (at(host, "silent"), "timeout"),
        (at(host, "away"), "answers 302"),
        (at(host, "busy"), "429"),
        (at(expired, "good"), "expired"),
        (at(stranger, "good"), "certificate"),
        (
            format!("https://127.0.0.1:{}/good", host.port()),
            "certificate",
        ),
        ("https://localhost:1/good".to_owned(), "refused"),
        (format!("http://localhost:{}/good", host.port()), "https"),
    ] {
        let said = asking.ask(&url).unwrap_err();
        let lower = said.to_lowercase();
        if !words.split('|').any(|words| lower.contains(words))
            || said.len() > 300
            || said.contains('\n')
        {
            wrong.push(format!("{url}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_round_goes_on_until_somebody_has_given_enough() {
    let authority = Authority::new();
    let host = authority.host(false);
    let at = |what: &str| format!("https://localhost:{}/{what}", host.port());
    let bad: Vec<_> = ["busy", "forged", "away"].map(at).to_vec();
    let (asking, _place) = fetcher(&authority, [bad.clone(), vec![at("good")]].concat(), "");
    let mut rng = Rng::from_seed([3; 32]);
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let round = asking.round(&mut rng);
        assert!(round.found.routers.len() > 60);
        let last = round.told.last().unwrap();
        assert!(last.contains("RouterInfos"), "{last}");
        orders.insert(round.told.len());
    }
    assert!(orders.len() > 1, "always in the same order");
    let (asking, _place) = fetcher(&authority, bad, "");
    let round = asking.round(&mut rng);
    assert!(
        round.found.routers.is_empty() && round.told.len() == 3,
        "{:?}",
        round.told
    );
}

#[test]
fn a_proxy_is_asked_for_the_way() {
    let authority = Authority::new();
    let host = authority.host(false);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = proxy.local_addr().unwrap().to_string();
    let asked = std::thread::spawn(move || {
        let (mut client, _) = proxy.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        let mut there = TcpStream::connect(host).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), there.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut there, &mut client);
        String::from_utf8(head).unwrap()
    });
    let url = format!("https://localhost:{}/good", host.port());
    let (asking, _place) = fetcher(&authority, vec![url.clone()], &at);
    assert!(asking.ask(&url).unwrap().routers.len() > 60);
    drop(asking);
    let head = asked.join().unwrap();
    assert!(
        head.starts_with(&format!("CONNECT localhost:{} ", host.port())),
        "{head}"
    );
}

#[test]
fn nobody_is_asked_but_where_the_configuration_says_so() {
    let urls = |config: &ConfigFile| Fetcher::new(config).unwrap().map(|f| f.urls.len());
    let mut config = ConfigFile::default();
    assert_eq!(urls(&config), Some(HOSTS.len()));
    config.network.net_id = 99;
    assert_eq!(urls(&config), None);
    config.seeds.hosts = vec!["https://localhost/".into()];
    assert_eq!(urls(&config), Some(1));
    config.seeds.https = false;
    assert_eq!(urls(&config), None);
    config.seeds.https = true;
    config.seeds.tls_roots = "/no/such.pem".into();
    let said = Fetcher::new(&config).map(|_| ()).unwrap_err();
    assert!(said.starts_with("/no/such.pem: "), "{said}");
}

/// Each host's signer is known, and its certificate is good for three months more: time enough
/// to ship another list.
#[test]
fn signers_of_the_hosts_are_good_for_three_months_more() {
    let soon = clock::now().wall.secs() + 90 * 86_400;
    let certificates = seeds::certificates(&ConfigFile::default()).unwrap();
    for host in HOSTS {
        let known = certificates.iter().find(|(name, _)| name == host.signer);
        let (_, certificate) = known.unwrap_or_else(|| panic!("{} has no signer", host.url));
        let key = ramson_proto::wire::su3::RsaKey::from_certificate(certificate).unwrap();
        assert!(
            key.not_after > soon,
            "{} ends at {}",
            host.signer,
            key.not_after
        );
    }
}
