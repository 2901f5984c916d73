//! The client of time servers. Started by `supervisor` only, which says over standard input whom to
//! ask. See `ramson_gateway::clock`.

use ramson_gateway::clock::serve;
use ramson_gateway::privileges;
use std::os::fd::AsFd;
use std::process::ExitCode;
use tokio::net::UnixStream;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("clock: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    privileges::prove_none()?;
    let text = |e: std::io::Error| e.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(text)?.block_on(async {
        let channel = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(text)?;
        let channel = std::os::unix::net::UnixStream::from(channel);
        channel.set_nonblocking(true).map_err(text)?;
        let channel = UnixStream::from_std(channel);
        let channel = channel.map_err(|_| "started by supervisor, not by hand".to_owned())?;
        serve::serve(channel).await.map_err(text)
    })
}
