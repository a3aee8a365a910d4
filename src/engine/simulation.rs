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

    /// The clock is about to move: everything of `from` is done, nothing will change before `to`. Returns when the run ends, if
    /// that is now known; at or before `to` the loop stops there.
    fn settled(&mut self, from: SimTime, to: SimTime) -> Option<SimTime>;
}

/// Runs `world` until its end, or until nothing is left to do, or to `limit`. Returns the end.
///
/// # Errors
/// The world's.
pub fn run<W: World>(
    world: &mut W,
    agenda: &mut Agenda<W::Event>,
    limit: Option<SimTime>,
) -> Result<SimTime, W::Error> {
    loop {
        let now = agenda.now();
        let due = world.due(now);
        let planned = agenda.peek().map(|key| (key.at, key.rank));
        let next = [due, planned].into_iter().flatten().min();
        let at = next.map_or(SimTime::MAX, |(at, _)| at);
        if at > now {
            let to = limit.map_or(at, |limit| at.min(limit));
            let end = world.settled(now, to).filter(|end| *end <= to);
            if let Some(end) = end {
                return Ok(end.max(now));
            }
            if at > to || at == SimTime::MAX {
                return Ok(limit.unwrap_or(now));
            }
        }
        if due.is_some() && due == next {
            agenda.advance(at);
            world.work(due.map_or(Rank(0), |(_, rank)| rank), agenda)?;
        } else if let Some((_, event)) = agenda.pop() {
            world.handle(event, agenda)?;
        }
    }
}
