//! `stowplan completions` and `stowplan man`: what a shell and `man` want to know about the command line.

use super::{Answer, Cli, Failure, output};
use crate::diagnostic::{Code, Diagnostic, did_you_mean, escape};
use crate::results::disk::RealDisk;
use crate::results::write::put_file;
use clap::CommandFactory;
use std::path::PathBuf;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  stowplan completions bash > ~/.local/share/bash-completion/completions/stowplan\n  \
    stowplan completions zsh > ~/.zfunc/_stowplan\n  stowplan completions fish > ~/.config/fish/completions/stowplan.fish"
)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  stowplan man | man -l -\n  stowplan man run | man -l -\n  \
    stowplan man --all -o ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The page of this command; without it that of stowplan itself.
    command: Option<String>,
    /// Write the pages of all commands.
    #[arg(long, requires = "output", conflicts_with = "command")]
    all: bool,
    /// File for the page, or folder for all of them; standard output without it.
    #[arg(short = 'o', long = "output", value_name = "PATH")]
    output: Option<PathBuf>,
}

/// Prints the completions of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(args: &CompletionsArgs) -> Answer {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stowplan", &mut text);
    output::say_bytes(&text)?;
    Ok(0)
}

/// Prints or writes man pages.
///
/// # Errors
/// An unknown command, files that cannot be written.
pub fn man(args: &ManArgs) -> Answer {
    let mut whole = Cli::command();
    whole.build();
    if args.all {
        let folder = args.output.clone().unwrap_or_default();
        put_file(&folder.join("stowplan.1"), &page(whole.clone())?, &RealDisk)?;
        for command in whole.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            let name = format!("stowplan-{}", command.get_name());
            put_file(&folder.join(format!("{name}.1")), &page(named(command, name))?, &RealDisk)?;
        }
        return Ok(0);
    }
    let command = match &args.command {
        None => whole,
        Some(name) => match whole.find_subcommand(name) {
            Some(command) => named(command, format!("stowplan-{name}")),
            None => {
                let hint = did_you_mean(name, whole.get_subcommands().map(clap::Command::get_name));
                let message = format!("there is no command `{}`", escape(name));
                return Err(Diagnostic::error(Code::CommandLine, message).maybe_help(hint).into());
            }
        },
    };
    let text = page(command)?;
    match &args.output {
        Some(path) if path.as_os_str() != "-" => put_file(path, &text, &RealDisk)?,
        _ => output::say_bytes(&text)?,
    }
    Ok(0)
}

/// The command under the name of its page.
fn named(command: &clap::Command, name: String) -> clap::Command {
    // The library keeps names for ever; there are a dozen of them in the life of a process.
    let name: &'static str = Box::leak(name.into_boxed_str());
    command.clone().name(name)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}
