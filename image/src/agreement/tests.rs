use super::*;

#[test]
fn the_files_of_both_sides_agree() {
    let found = complaints().unwrap();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn commands_of_scripts_are_seen() {
    let script = "\
#!/bin/sh
say() { echo \"x: $*\"; }
mount -t proc proc /proc && say done
value=$(cat /proc/cmdline)
if ! umount /data; then sleep 1; fi
while pidof a >/dev/null && [ 1 -gt 0 ]; do
    left=$((left - 1))
done
case \" $(head -1 /x) \" in
*\" y \"*) exec sh -i ;;
*) exec logread -f ;;
esac
exec 1<>/run/log 2>&1
";
    let found: BTreeSet<String> = shell::commands(script, false).into_iter().collect();
    let wanted = [
        "mount", "cat", "umount", "sleep", "pidof", "head", "sh", "logread",
    ];
    assert_eq!(found, names(&wanted));
    let inittab = "# words\n::respawn:/sbin/syslogd -n\n::respawn:/usr/bin/logger <>/run/log\n";
    assert_eq!(
        shell::commands(inittab, true),
        ["/sbin/syslogd", "/usr/bin/logger"]
    );
}

#[test]
fn what_is_missing_is_named() {
    let folder = std::env::temp_dir().join(format!("ramson-agreement-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let script = folder.join("script");
    fs::write(
        &script,
        "#!/bin/sh\nmount /nowhere\nlaunch x\n/sbin/mount\n",
    )
    .unwrap();
    let found = judge_script(&script, &folder, &names(&["mount"])).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        found,
        [
            "script runs launch, which the image does not have",
            "script runs /sbin/mount, which the image does not have",
            "script names /nowhere, which the image does not have",
        ]
    );
}

#[test]
fn configurations_that_disagree_are_named() {
    let users = tables::users(
        "i2p 1 i2p 1 * - - - a\ngw 2 gw 2 * - - - b\n\
                 wan 3 wan 3 * - - - c\nwww 4 www 4 * - - - d\nntp 5 ntp 5 * - - - e\n",
    );
    let users = users.unwrap();
    let gateway = "[users]\nrouter = \"i2p\"\ngateway = \"gw\"\nwan = \"wan\"\n\
                   console = \"www\"\nclock = \"ntp\"\n";
    let router = "[network]\nport = 9999\n[sockets]\nuids = [2]\nadmins = [4]\n";
    assert!(judge_configs(gateway, router, &users).is_empty());
    assert_eq!(judge_configs(gateway, router, &users[1..]).len(), 1);
    assert_eq!(
        judge_configs(gateway, &router.replace('2', "3"), &users).len(),
        1
    );
    assert_eq!(
        judge_configs(gateway, &router.replace("9999", "1"), &users).len(),
        1
    );
}
