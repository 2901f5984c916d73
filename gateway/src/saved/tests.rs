use super::*;
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};

struct Dirs(PathBuf);

impl Dirs {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-saved-{name}-{}", std::process::id()));
        for part in ["run", "flash"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        Self(dir)
    }

    fn places(&self) -> Arc<Places> {
        let open = |part: &str| OwnedFd::from(File::open(self.0.join(part)).unwrap());
        Arc::new(Places {
            run: open("run"),
            flash: open("flash"),
        })
    }

    fn file(&self, part: &str) -> PathBuf {
        self.0.join(part).join("things")
    }

    fn open(&self) -> (Saved, Option<Vec<u8>>, Vec<String>) {
        Saved::open(self.places(), "things", &secrets(7))
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn secrets(n: u8) -> Secrets {
    Secrets::from_random(&[n; 38])
}

fn contains(file: &Path, what: &[u8]) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.windows(what.len()).any(|w| w == what)
}

#[tokio::test]
async fn the_newer_of_both_copies_counts() {
    let dirs = Dirs::new("newer");
    let (mut saved, kept, complaints) = dirs.open();
    assert!(kept.is_none() && complaints.is_empty());
    saved.save(b"first and private", true).await.unwrap();
    saved.save(b"second", false).await.unwrap();
    assert!(!contains(&dirs.file("flash"), b"private"));
    // The process ended: memory is newer. The power failed: only flash is left.
    assert_eq!(dirs.open().1.unwrap(), b"second");
    fs::remove_file(dirs.file("run")).unwrap();
    let (mut saved, kept, _) = dirs.open();
    assert_eq!(kept.unwrap(), b"first and private");
    // What is written then is newer than what was lost.
    saved.save(b"third", true).await.unwrap();
    assert_eq!(dirs.open().1.unwrap(), b"third");
}

#[tokio::test]
async fn what_does_not_open_is_set_aside_and_the_other_copy_serves() {
    let dirs = Dirs::new("damage");
    dirs.open().0.save(b"good", true).await.unwrap();
    let good = fs::read(dirs.file("run")).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cut = good[..good.len() - 1].to_vec();
    for bad in [
        vec![],
        cut,
        flipped(0),
        flipped(10),
        flipped(good.len() - 1),
    ] {
        fs::write(dirs.file("run"), &bad).unwrap();
        let (_, kept, complaints) = dirs.open();
        assert_eq!(kept.unwrap(), b"good");
        assert!(complaints.len() == 1 && complaints[0].contains("set aside"));
        assert_eq!(fs::read(dirs.0.join("run/things.damaged")).unwrap(), bad);
        assert!(!dirs.file("run").exists());
    }
    // Of another box, or of another purpose.
    let other = Saved::open(dirs.places(), "things", &secrets(8));
    assert!(other.1.is_none() && other.2.len() == 1);
}

#[derive(Default)]
struct Thing(Cell<u64>, RefCell<Vec<u8>>, Cell<u64>);

impl Keep for Thing {
    fn changes(&self) -> u64 {
        self.0.get()
    }

    fn urgent(&self) -> u64 {
        self.2.get()
    }

    fn snapshot(&self) -> Vec<u8> {
        self.1.borrow().clone()
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn changes_reach_memory_soon_and_flash_in_batches() {
    let dirs = Dirs::new("batches");
    let thing = Rc::new(Thing::default());
    let end = Rc::new(tokio::sync::Notify::new());
    let (saved, kept) = (dirs.open().0, Rc::clone(&thing));
    let ending = Rc::clone(&end);
    let task = tokio::task::spawn_local(async move {
        saved.keep(kept, ending.notified()).await;
    });
    let change = |n: u8| {
        thing.0.set(u64::from(n));
        thing.1.replace(vec![n]);
    };
    let sleep = |t| tokio::time::sleep(t);
    sleep(2 * BATCH).await;
    assert!(!dirs.file("run").exists(), "written without a change");
    change(1);
    sleep(2 * SOON).await;
    // The first change after a quiet time is on flash at once, the next ones wait.
    assert_eq!(dirs.open().1.unwrap(), [1]);
    let before = fs::read(dirs.file("flash")).unwrap();
    change(2);
    sleep(2 * SOON).await;
    assert_eq!(dirs.open().1.unwrap(), [2]);
    assert_eq!(fs::read(dirs.file("flash")).unwrap(), before);
    sleep(BATCH).await;
    assert_ne!(fs::read(dirs.file("flash")).unwrap(), before);
    change(3);
    end.notify_one();
    task.await.unwrap();
    fs::remove_file(dirs.file("run")).unwrap();
    assert_eq!(dirs.open().1.unwrap(), [3]);
}

/// What could not be written is tried again, though nothing else changes; and what must not come
/// back with the power is on flash at once.
#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_copy_is_tried_again_and_an_urgent_one_does_not_wait() {
    let dirs = Dirs::new("again");
    let thing = Rc::new(Thing::default());
    let end = Rc::new(tokio::sync::Notify::new());
    let (saved, kept) = (dirs.open().0, Rc::clone(&thing));
    let ending = Rc::clone(&end);
    let task = tokio::task::spawn_local(async move {
        saved.keep(kept, ending.notified()).await;
    });
    let sleep = |t| tokio::time::sleep(t);
    sleep(SOON).await;
    // No file can be made under the name of a directory.
    let in_the_way = dirs.0.join("flash/things.new");
    fs::create_dir(&in_the_way).unwrap();
    thing.1.replace(vec![1]);
    thing.0.set(1);
    sleep(2 * SOON).await;
    assert!(dirs.file("run").exists() && !dirs.file("flash").exists());
    fs::remove_dir(&in_the_way).unwrap();
    sleep(BATCH + 2 * SOON).await;
    assert!(dirs.file("flash").exists(), "given up");
    let before = fs::read(dirs.file("flash")).unwrap();
    thing.1.replace(vec![2]);
    thing.0.set(2);
    sleep(2 * SOON).await;
    assert_eq!(fs::read(dirs.file("flash")).unwrap(), before);
    thing.0.set(3);
    thing.2.set(1);
    sleep(2 * SOON).await;
    assert_ne!(fs::read(dirs.file("flash")).unwrap(), before);
    end.notify_one();
    task.await.unwrap();
}
