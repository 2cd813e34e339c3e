//! Which vector instructions this processor has, found once. A [`Set`] can only be had where it runs, so holding one is the proof.

use std::sync::OnceLock;

/// A set of instructions that this processor has. All sets give the same bits; they differ in speed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set(Kind);

/// The sets there are code paths for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain Rust: the reference.
    Scalar,
    /// AVX2, FMA and F16C, on x86-64.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-VNNI for products, and [`Kind::Avx2`] for the rest.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON with dot products, on 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// The same with products of small matrices.
    #[cfg(target_arch = "aarch64")]
    NeonI8mm,
}

impl Set {
    /// The fastest set here whose products of a small trial have the bits of plain Rust; looked for at the first call.
    pub fn best() -> Self {
        static BEST: OnceLock<Set> = OnceLock::new();
        *BEST.get_or_init(|| {
            let fastest =
                Self::available().iter().rev().copied().find(|set| *set == Self::scalar() || crate::trial::agrees(*set));
            fastest.unwrap_or(Self::scalar())
        })
    }

    /// Plain Rust, everywhere.
    pub const fn scalar() -> Self {
        Self(Kind::Scalar)
    }

    /// Every set that runs here, from the plainest to the fastest.
    pub fn available() -> &'static [Self] {
        static FOUND: OnceLock<Vec<Set>> = OnceLock::new();
        FOUND.get_or_init(|| {
            let mut sets = vec![Self(Kind::Scalar)];
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                sets.push(Self(Kind::Avx2));
                if is_x86_feature_detected!("avxvnni") {
                    sets.push(Self(Kind::AvxVnni));
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                {
                    sets.push(Self(Kind::Avx512));
                }
            }
            #[cfg(target_arch = "aarch64")]
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                sets.push(Self(Kind::Neon));
                if std::arch::is_aarch64_feature_detected!("i8mm") {
                    sets.push(Self(Kind::NeonI8mm));
                }
            }
            sets
        })
    }

    /// Its name, for reports: `scalar`, `avx2`, `avx-vnni`, `avx512-vnni`, `neon-dotprod`, `neon-i8mm`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon-dotprod",
            #[cfg(target_arch = "aarch64")]
            Kind::NeonI8mm => "neon-i8mm",
        }
    }

    /// Whether it has 32 registers as wide as a panel.
    pub(crate) const fn is_wide(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            matches!(self.0, Kind::Avx512)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }

    /// The code path to take.
    pub(crate) const fn kind(self) -> Kind {
        self.0
    }
}

/// Compiles one body of plain Rust for every set and chooses among them by `set`. Rust never reorders or fuses floating-point
/// operations by itself, so the vectorised copies give the bits of the plain one.
macro_rules! per_set {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path;) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(set: $crate::Set, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                match set.kind() {
                    $crate::sets::Kind::Scalar => {}
                    // SAFETY: a `Set` of this kind exists only where these were detected.
                    $crate::sets::Kind::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: on x86-64, a `Set` of any other kind exists only where AVX2, FMA and F16C were detected.
                    _ => return unsafe { avx2($($arg),*) },
                }
            }
            let _ = set;
            $body($($arg),*)
        }
    };
}
pub(crate) use per_set;
