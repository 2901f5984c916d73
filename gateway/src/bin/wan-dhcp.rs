//! The DHCP client of the WAN. Started by `supervisor` only, which hands it its socket and the
//! interface's address over standard input. See `ramson_gateway::wan_dhcp`.

use ramson_gateway::privileges;
use ramson_gateway::supervisor::uplink::receive;
use ramson_gateway::wan_dhcp::serve;
use std::os::fd::AsFd;
use std::process::ExitCode;
use tokio::net::{UdpSocket, UnixStream};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("wan-dhcp: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    privileges::prove_none()?;
    let text = |e: std::io::Error| e.to_string();
    let (socket, mac) = receive(std::io::stdin().as_fd())
        .map_err(|e| format!("started by supervisor, not by hand: {e}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(text)?;
    runtime.block_on(async {
        let channel = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(text)?;
        let channel = std::os::unix::net::UnixStream::from(channel);
        channel.set_nonblocking(true).map_err(text)?;
        let channel = UnixStream::from_std(channel).map_err(text)?;
        let socket = UdpSocket::from_std(socket).map_err(text)?;
        serve::serve(socket, channel, mac).await.map_err(text)
    })
}
