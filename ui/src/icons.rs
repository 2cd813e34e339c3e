//! Line icons on a grid of 24, drawn in the text's colour.

use leptos::{prelude::*, svg};

/// What an icon shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    Activity,
    Api,
    Alert,
    Attach,
    Back,
    Branch,
    Chat,
    Check,
    ChevronDown,
    ChevronRight,
    ChevronsUpDown,
    Close,
    Cloud,
    Copy,
    Cube,
    Devices,
    Disk,
    Download,
    Edit,
    External,
    Eye,
    File,
    Gauge,
    Image,
    Key,
    Laptop,
    Lock,
    Menu,
    Moon,
    More,
    Network,
    Phone,
    Pin,
    Plus,
    Refresh,
    Retry,
    Search,
    Settings,
    Shield,
    Sliders,
    Sparkle,
    Stop,
    Sun,
    Trash,
    Up,
}

impl Icon {
    /// The strokes; circles and rounded rectangles are written as paths.
    const fn path(self) -> &'static str {
        match self {
            Self::Activity => "M3 12h4l3-8 4 16 3-8h4",
            Self::Api => "m8 8-4 4 4 4M16 8l4 4-4 4M13.5 5l-3 14",
            Self::Alert => "M12 4 2.8 19.5h18.4L12 4ZM12 10v4.5M12 17v.2",
            Self::Attach => "m20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.8 4.8l-8.5 8.5a1.7 1.7 0 0 1-2.4-2.4l7.6-7.4",
            Self::Back => "M19 12H5M11 6l-6 6 6 6",
            Self::Branch => "M6 4v16M6 15c7 0 12-2 12-8M15.500 7h5M18 4.500 15.500 7 18 4.500l2.500 2.500",
            Self::Chat => "M21 12a8 8 0 0 1-8 8H4l2.2-3.1A8 8 0 1 1 21 12Z",
            Self::Check => "m5 12.5 4.500 4.500L19 7.500",
            Self::ChevronDown => "m6 9 6 6 6-6",
            Self::ChevronRight => "m9 6 6 6-6 6",
            Self::ChevronsUpDown => "m8 10 4-4 4 4M8 14l4 4 4-4",
            Self::Close => "M6 6l12 12M18 6 6 18",
            Self::Cloud => "M7 18a4.500 4.500 0 0 1-.5-9A6 6 0 0 1 18 10.500a3.800 3.800 0 0 1 0 7.500H7Z",
            Self::Copy => "M11 9h7a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM5 15V6a2 2 0 0 1 2-2h9",
            Self::Cube => "m12 3 8 4.5v9L12 21l-8-4.5v-9L12 3ZM4 7.500l8 4.500 8-4.500M12 12v9",
            Self::Devices => {
                "M4.500 5h9A1.500 1.500 0 0 1 15 6.500v6a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 3 12.500v-6A1.500 1.500 0 0 1 4.500 5ZM6 18h6M9 14v4M18.200 9h2.100a1.200 1.200 0 0 1 1.200 1.200v6.600a1.200 1.200 0 0 1-1.200 1.200h-2.100a1.200 1.200 0 0 1-1.200-1.200v-6.600A1.200 1.200 0 0 1 18.200 9Z"
            }
            Self::Disk => {
                "M4 7c0-1.700 3.600-3 8-3s8 1.300 8 3-3.600 3-8 3-8-1.300-8-3ZM4 7v10c0 1.700 3.600 3 8 3s8-1.300 8-3V7M4 12c0 1.700 3.600 3 8 3s8-1.300 8-3"
            }
            Self::Download => "M12 4v11M7 11l5 5 5-5M5 20h14",
            Self::Edit => "m4 20 .8-4L16 4.800a2 2 0 0 1 2.800 0l.4.400a2 2 0 0 1 0 2.800L8 19.200 4 20ZM14 7l3 3",
            Self::External => {
                "M14 5h5v5M19 5l-8 8M17 14v4a1.500 1.500 0 0 1-1.500 1.500h-9A1.500 1.500 0 0 1 5 18V9a1.500 1.500 0 0 1 1.500-1.500H10"
            }
            Self::Eye => {
                "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12ZM12 9.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5Z"
            }
            Self::File => {
                "M7 3.500h7l4.500 4.500v11a1.500 1.500 0 0 1-1.500 1.500H7A1.500 1.500 0 0 1 5.500 19V5A1.500 1.500 0 0 1 7 3.500ZM13.500 3.500V8.500h5"
            }
            Self::Gauge => "M4.500 18a9 9 0 1 1 15 0M12 14l4-5M12 13.300a.700.700 0 1 1 0 1.400.700.700 0 1 1 0-1.400",
            Self::Image => {
                "M5.500 4.500h13A1.500 1.500 0 0 1 20 6v12a1.500 1.500 0 0 1-1.500 1.500h-13A1.500 1.500 0 0 1 4 18V6a1.500 1.500 0 0 1 1.500-1.500ZM4.500 17l4.500-5 3.500 3.500 2.500-2.500 4.500 4M15 8.800a.800.800 0 1 1 0 .1"
            }
            Self::Key => "M14.500 4.500a5 5 0 1 1-3.900 8.100L4 19.200V20.500h3v-2h2v-2h2l1-1.200M15.800 8.200v.1",
            Self::Laptop => "M6.500 5h11A1.500 1.500 0 0 1 19 6.500V15H5V6.500A1.500 1.500 0 0 1 6.500 5ZM2.500 18.500h19",
            Self::Lock => "M7 11h10a2 2 0 0 1 2 2v5a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2v-5a2 2 0 0 1 2-2ZM8 11V8a4 4 0 0 1 8 0v3",
            Self::Menu => "M4 7h16M4 12h16M4 17h16",
            Self::Moon => "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500Z",
            Self::More => {
                "M6 11.3a.7.7 0 1 0 0 1.4.7.7 0 1 0 0-1.4M12 11.3a.7.7 0 1 0 0 1.4.7.7 0 1 0 0-1.4M18 11.3a.7.7 0 1 0 0 1.4.7.7 0 1 0 0-1.4"
            }
            Self::Network => {
                "M12 3.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5ZM5.500 15.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5ZM18.500 15.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5ZM10.800 8.200 6.800 15.800M13.200 8.200l4 7.600M8 18h8"
            }
            Self::Phone => "M9 3h6a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2ZM11 18h2",
            Self::Pin => "M9 4h6l-1 6 3 3v2H7v-2l3-3-1-6ZM12 15v5.500",
            Self::Plus => "M12 5v14M5 12h14",
            Self::Refresh => {
                "M20 11a8 8 0 0 0-14.500-3.500L4 9.500M4 4.500v5h5M4 13a8 8 0 0 0 14.500 3.500l1.500-2M20 19.500v-5h-5"
            }
            Self::Retry => "M20 11a8 8 0 1 0-2.300 6.300M20 5v6h-6",
            Self::Search => "M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12ZM20 20l-4.500-4.500",
            Self::Settings => {
                "M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6ZM12 3v2.500M12 18.500V21M3 12h2.500M18.500 12H21M5.600 5.600l1.800 1.800M16.600 16.600l1.800 1.800M5.600 18.400l1.800-1.800M16.600 7.400l1.800-1.800"
            }
            Self::Shield => "M12 3.500 19 6v6c0 4.500-3 7.300-7 8.500-4-1.200-7-4-7-8.500V6l7-2.500ZM9 12l2.200 2.200L15.300 10",
            Self::Sliders => "M4 7h10M18 7h2M4 17h2M10 17h10M16 5a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM8 15a2 2 0 1 1 0 4 2 2 0 0 1 0-4Z",
            Self::Sparkle => {
                "M12 4l1.800 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800L12 4ZM19 16.500v4M17 18.500h4"
            }
            Self::Stop => "M8 7h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1Z",
            Self::Sun => {
                "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400"
            }
            Self::Trash => "M5 7h14M9.500 7V4.500h5V7M7 7l.8 12.500h8.400L17 7M10.500 10.500v5.500M13.500 10.500v5.500",
            Self::Up => "M12 19V5M6 11l6-6 6 6",
        }
    }

    /// The icon as an element; it says nothing to those who listen, so what it means must stand beside it or in a label.
    pub fn view(self) -> impl IntoView {
        svg::svg()
            .attr("class", "i")
            .attr("viewBox", "0 0 24 24")
            .attr("aria-hidden", "true")
            .child(svg::path().attr("d", self.path()))
    }
}
