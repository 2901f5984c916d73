//! The appliance at work, step by step, for whoever looks on.

use std::time::Duration;

use ramson_image::build::Image;

use crate::appliance::{Plugged, Shape};
use crate::fault::Outcome;
use crate::network::Plan;
use crate::scene::Scene;
use crate::steps::Steps;
use crate::{site, stop, wall};

/// Boots an image between a LAN client and a private network, opens its site, and takes everything
/// down again; with `stay` not before Ctrl-C.
pub fn appliance(
    image: &Image,
    plan: &Plan,
    shape: Shape,
    stay: bool,
    steps: &mut Steps,
) -> Outcome<()> {
    let network = Plugged::network(plan, &mut |what| steps.done(what))?;
    let mut plugged = Plugged::up(network, image, shape, &mut |what| steps.done(what))?;
    let page = plugged.page("/", Duration::from_secs(180))?;
    steps.done(&format!("the client has opened {}", Scene::url("/")));
    let text = std::fs::read_to_string(plugged.lan.fetched())?;
    println!("            {}", text.trim());
    println!("            first byte after {:.2} s", page.first_byte_s);
    let got = plugged.page("/bytes/2000000", Duration::from_secs(120))?;
    site::check_bytes(&plugged.lan.fetched(), 2_000_000)?;
    steps.done(&format!(
        "and fetched 2 MB, every byte right, {:.2} MB/s",
        got.megabytes_per_s()
    ));
    if stay {
        wait(&mut plugged)?;
    }
    plugged.appliance.power_off(Duration::from_secs(60))?;
    steps.done("the power button has switched it off");
    drop(plugged);
    steps.done("everything is gone again");
    Ok(())
}

fn wait(plugged: &mut Plugged) -> Outcome<()> {
    let client = plugged.lan.client.name();
    let slot = plugged.network.slot()?;
    println!(
        "\nthe LAN client:  ip netns exec {client} curl {}",
        Scene::url("/")
    );
    println!("its console:     {}/console.log", slot.folder().display());
    println!("Ctrl-C takes everything down");
    while !stop::asked() {
        plugged.check()?;
        if wall::pause(Duration::from_secs(2)).is_err() {
            break;
        }
    }
    println!();
    Ok(())
}
