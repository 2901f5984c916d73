use super::*;
use ramson_proto::time::{Date, Instant};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ramson-seeds-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn read(&self, net_id: u8) -> Found {
        from_dir(&self.0, net_id, Log::new(Level::Error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/vectors")
            .join(name),
    )
    .unwrap()
}

#[test]
fn trees_of_other_routers_are_walked_and_not_left() {
    let place = Place::new("tree");
    place.put("netDb/r0/routerInfo-a.dat", &vector("router1.dat"));
    place.put("netDb/rz/routerInfo-b.dat", &vector("router2.dat"));
    place.put("outside.dat", &vector("router4.dat"));
    let root = place.0.join("netDb");
    let out = root.join("r1/routerInfo-c.dat");
    fs::create_dir_all(root.join("r1")).unwrap();
    symlink(place.0.join("outside.dat"), &out).unwrap();
    symlink(&place.0, root.join("r1/loop")).unwrap();
    let info = parse_verified(&vector("router1.dat")).unwrap();
    let found = from_dir(&root, info.net_id().unwrap(), Log::new(Level::Error));
    assert_eq!(found.routers.len(), 2, "{found}");
    assert_eq!(found.left_out.get("symbolic links"), Some(&1));
    place.put("netDb/1/2/3/4/routerInfo-d.dat", &vector("router4.dat"));
    let found = from_dir(&root, info.net_id().unwrap(), Log::new(Level::Error));
    assert_eq!(found.left_out.get("directories too deep"), Some(&1));
}

#[test]
fn what_is_left_out_is_counted_by_reason() {
    let place = Place::new("count");
    assert_eq!(
        place.read(2).to_string(),
        "no usable RouterInfo: there is none in it"
    );
    let good = vector("router1.dat");
    let id = parse_verified(&good).unwrap().net_id().unwrap();
    place.put("a.dat", &good);
    place.put("b.dat", &good[..100]);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    place.put("c.dat", &forged);
    place.put("d.dat", &vec![0; limits::ROUTER_INFO_MAX + 1]);
    place.put("readme.txt", b"x");
    let text = place.read(id).to_string();
    assert_eq!(
        text,
        "1 RouterInfo; left out: 1 damaged, 1 that cannot be read, 1 with a bad signature"
    );
    let text = place.read(id + 1).to_string();
    let other = format!("1 of network {id}, not {}", id + 1);
    assert!(
        text.starts_with("no usable RouterInfo; left out: "),
        "{text}"
    );
    assert!(text.contains(&other), "{text}");
}

fn at(secs: u64) -> Now {
    Now {
        mono: Instant(1),
        wall: Date::from_secs(secs),
    }
}

fn file(name: &str) -> ConfigFile {
    let mut file = ConfigFile::default();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    file.seeds.su3 = vectors.join(name);
    file
}

/// The file is good, the clock is not: it is taken once the clock has been set.
#[test]
fn a_reseed_file_waits_for_the_clock() {
    let file = file("i2pseeds.su3");
    let mut waiting = Waiting::default();
    let today = EARLIEST.secs() + 1;
    for wrong in [0, EARLIEST.secs() - 1] {
        let Ok(Reseed::Later(why)) = from_su3(&file, at(wrong)) else {
            panic!("taken at {wrong}");
        };
        assert!(why.contains("clock of this machine is wrong"), "{why}");
        waiting.put_off(at(wrong), why);
        assert!(!waiting.is_due(at(wrong)) && waiting.why().is_some());
    }
    assert!(waiting.is_due(at(today)));
    let Ok(Reseed::Routers(found)) = from_su3(&file, at(today)) else {
        panic!("not taken");
    };
    assert!(!found.routers.is_empty() || !found.left_out.is_empty());
    waiting.done();
    assert!(!waiting.is_due(at(today)) && waiting.why().is_none());
}

/// Certificates that ended, or have not begun, may be replaced or the clock set: looked at daily.
#[test]
fn a_reseed_file_out_of_date_is_looked_at_daily() {
    let file = file("i2pseeds.su3");
    let late = EARLIEST.secs() + 100 * 365 * 86_400;
    let Ok(Reseed::Later(why)) = from_su3(&file, at(late)) else {
        panic!("taken after a century");
    };
    assert!(why.contains("not valid at this date"), "{why}");
    let mut waiting = Waiting::default();
    waiting.put_off(at(late), why);
    assert!(!waiting.is_due(at(late + 60)));
    assert!(waiting.is_due(at(late + 86_400)));
    assert!(waiting.is_due(at(EARLIEST.secs() + 1)));
}

/// A start with the wrong clock goes on without the file, which is taken later; one that is forged
/// ends the start only when there is nothing else.
#[test]
fn a_start_goes_on_without_the_file() {
    use crate::files::Files;
    let quiet = Log::new(Level::Error);
    let mut files = Files::new(PathBuf::new(), file("i2pseeds.su3"), quiet);
    assert!(files.seeds(at(0), 0).unwrap().is_empty());
    assert!(files.waiting().is_some() && files.retry(at(3600)).is_none());
    let news = files.retry(at(EARLIEST.secs() + 1)).unwrap();
    assert!(!news.routers.is_empty() && news.waiting.is_none());
    assert!(files.retry(at(EARLIEST.secs() + 90_000)).is_none());
    let mut forged = Files::new(PathBuf::new(), file("router1.dat"), quiet);
    let e = forged.seeds(at(EARLIEST.secs() + 1), 0).unwrap_err();
    assert!(e.contains("router1.dat: "), "{e}");
    assert!(forged.seeds(at(EARLIEST.secs() + 1), 1).unwrap().is_empty());
}
