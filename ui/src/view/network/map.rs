//! Where nodes stand on the map, and the lines between them. All in hundredths of the drawing, which is stretched to the room there is.

use super::{Device, Way};
use kith_wire::networks::{LinkPath, Topology};

/// How many other nodes are drawn; the list has them all.
pub const MOST: usize = 40;
/// From how many on they stand in two rings.
const TWO_RINGS: usize = 12;

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// From the left edge.
    pub x: f64,
    /// From the upper edge.
    pub y: f64,
}

impl Spot {
    /// Whether its name stands above it, so that its link does not run through the name.
    pub fn is_above(self) -> bool {
        self.y < 40.0
    }
}

/// Where this node stands, with so many others around it.
pub fn own(others: usize) -> Spot {
    if others == 1 { Spot { x: 26.0, y: 50.0 } } else { Spot { x: 50.0, y: 50.0 } }
}

/// Where the others stand: on a ring, none straight below this node, whose name is there.
pub fn around(others: usize) -> Vec<Spot> {
    if others == 1 {
        return vec![Spot { x: 74.0, y: 50.0 }];
    }
    let step = 360.0 / others as f64;
    let first = if others.is_multiple_of(2) { -90.0 + step / 2.0 } else { -90.0 };
    (0..others)
        .map(|at| {
            let angle: f64 = (first + step * at as f64).to_radians();
            let far = if others > TWO_RINGS && at % 2 == 1 { 0.58 } else { 1.0 };
            Spot { x: 50.0 + 38.0 * far * angle.cos(), y: 50.0 + 33.0 * far * angle.sin() }
        })
        .collect()
}

/// A line from this node to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The other node.
    pub id: String,
    /// How it runs.
    pub way: Way,
    /// Its path.
    pub d: String,
    /// Where its round trip is written.
    pub middle: Spot,
}

/// The lines from this node to those it is connected with. A relayed one bends towards the node between.
pub fn links(others: &[Device]) -> Vec<Link> {
    let count = others.len().min(MOST);
    let (own, spots) = (own(count), around(count));
    let place = |id: &str| others.iter().position(|device| device.id == id).and_then(|at| spots.get(at).copied());
    others
        .iter()
        .zip(&spots)
        .filter(|(device, _)| device.way.is_link())
        .map(|(device, to)| {
            let between = device.via.as_deref().and_then(place);
            let (d, middle) = match between {
                Some(by) => (
                    format!("M{:.1},{:.1}Q{:.1},{:.1} {:.1},{:.1}", own.x, own.y, by.x, by.y, to.x, to.y),
                    Spot { x: (own.x + 2.0 * by.x + to.x) / 4.0, y: (own.y + 2.0 * by.y + to.y) / 4.0 },
                ),
                None => (
                    format!("M{:.1},{:.1}L{:.1},{:.1}", own.x, own.y, to.x, to.y),
                    Spot { x: own.x + (to.x - own.x) * 0.52, y: own.y + (to.y - own.y) * 0.52 },
                ),
            };
            Link { id: device.id.clone(), way: device.way, d, middle }
        })
        .collect()
}

/// The lines that others tell of among themselves, as one path.
pub fn told(others: &[Device], topology: &Topology) -> String {
    let spots = around(others.len().min(MOST));
    let place = |id: &str| others.iter().take(MOST).position(|device| device.id == id);
    let mut pairs: Vec<(usize, usize)> = topology
        .edges
        .iter()
        .filter(|edge| edge.path != LinkPath::None)
        .filter_map(|edge| {
            let (from, to) = (place(&edge.from)?, place(&edge.to)?);
            (from != to).then_some((from.min(to), from.max(to)))
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    let line = |(from, to): &(usize, usize)| {
        let (from, to) = (spots.get(*from)?, spots.get(*to)?);
        Some(format!("M{:.1},{:.1}L{:.1},{:.1}", from.x, from.y, to.x, to.y))
    };
    pairs.iter().filter_map(line).collect()
}
