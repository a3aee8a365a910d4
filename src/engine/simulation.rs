//! The event loop: takes what is next, from the agenda or from the world's own presorted sources, until nothing is left.

use super::agenda::{Agenda, Rank};
use super::time::SimTime;

/// What is simulated. The loop knows no more about it.
pub trait World {
    /// Events of the agenda; small.
    type Event: Copy;
    /// What stops a run for good.
    type Error;

    /// Work that is not in the agenda, the earliest of it: presorted arrivals (which would only crowd the heap), or work that
    /// is due at once. It comes before an event of the agenda with the same time and rank.
    fn due(&self, now: SimTime) -> Option<(SimTime, Rank)>;

    /// Does one piece of the work that [`World::due`] announced.
    ///
    /// # Errors
    /// What stops the run.
    fn work(&mut self, rank: Rank, agenda: &mut Agenda<Self::Event>) -> Result<(), Self::Error>;

    /// Handles one event of the agenda.
    ///
    /// # Errors
    /// What stops the run.
    fn handle(&mut self, event: Self::Event, agenda: &mut Agenda<Self::Event>) -> Result<(), Self::Error>;

    /// The clock is about to move: everything of `from` is done, and nothing will change before `to` (`None`: ever again).
    /// Returns the end of the run if that comes before `to`.
    ///
    /// # Errors
    /// What stops the run.
    fn settled(&mut self, from: SimTime, to: Option<SimTime>) -> Result<Option<SimTime>, Self::Error>;
}

/// Runs `world` until its end, or until nothing is left to do. Returns the end.
///
/// # Errors
/// The world's.
pub fn run<W: World>(world: &mut W, agenda: &mut Agenda<W::Event>) -> Result<SimTime, W::Error> {
    loop {
        let now = agenda.now();
        let due = world.due(now);
        let planned = agenda.peek().map(|key| (key.at, key.rank));
        let next = [due, planned].into_iter().flatten().min();
        let at = next.map(|(at, _)| at);
        if at.is_none_or(|at| at > now) {
            match (world.settled(now, at)?, at) {
                (Some(end), _) => return Ok(end.max(now)),
                (None, None) => return Ok(now),
                (None, Some(_)) => {}
            }
        }
        match due {
            Some((at, rank)) if due == next => {
                agenda.advance(at);
                world.work(rank, agenda)?;
            }
            _ => {
                if let Some((_, event)) = agenda.pop() {
                    world.handle(event, agenda)?;
                }
            }
        }
    }
}
