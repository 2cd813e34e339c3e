//! Seeing: the families of models with images that mistral.rs runs from a folder, what stands for an image in their text, and how many
//! tokens an image becomes.
//!
//! mistral.rs 0.8.1 goes wrong where these rows say so, silently or with a panic that ends its thread; what it is given keeps clear
//! of that. Images are decoded and fitted here ([`fit`]); it unwraps what it finds in them.

pub(crate) mod fit;
mod rows;

use crate::vocabulary::Vocabulary;
use image::DynamicImage;
use kith_engine::{EngineError, Image, ImageMark, MAX_IMAGES};
use mistralrs_core::MultimodalLoaderType;
use serde_json::Value;

/// A family of models that see.
pub(crate) struct Family {
    /// `model_type` of `config.json`.
    pub(crate) model_type: &'static str,
    /// mistral.rs's loader.
    pub(crate) loader: fn() -> MultimodalLoaderType,
    /// What stands for one image in a text.
    pub(crate) mark: &'static str,
    /// The tokens that tell of images; none of them may stand in a text but in a mark. All are in the vocabulary.
    pub(crate) reserved: &'static [&'static str],
    /// What mistral.rs makes of a mark: before, repeated for each token of the image, after.
    pub(crate) expansion: (&'static str, &'static str, &'static str),
    /// Fills in what configurations leave to defaults of their library, and sets what must be so. Answers how many tokens an image
    /// becomes.
    pub(crate) complete: fn(&mut Settings) -> Result<usize, String>,
}

/// The JSON files that mistral.rs reads beside the weights.
pub(crate) struct Settings {
    /// `config.json`.
    pub(crate) config: Value,
    /// `preprocessor_config.json`.
    pub(crate) preprocessor: Value,
    /// `processor_config.json`.
    pub(crate) processor: Value,
}

/// The sight of one loaded model.
#[derive(Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) family: &'static Family,
    /// Tokens of one image.
    pub(crate) tokens: usize,
}

/// A text and its images, as mistral.rs gets them.
pub(crate) struct Seen {
    /// With a mark for each image.
    pub(crate) text: String,
    pub(crate) images: Vec<DynamicImage>,
}

/// The family of this `model_type`.
pub(crate) fn family(model_type: &str) -> Option<&'static Family> {
    rows::FAMILIES.iter().find(|family| family.model_type == model_type)
}

/// The values of `model_type` that mistral.rs loads from a folder.
pub(crate) fn model_types() -> impl Iterator<Item = &'static str> {
    rows::FAMILIES.iter().map(|family| family.model_type)
}

impl Sight {
    /// The mark as the port tells it.
    pub(crate) fn mark(&self) -> ImageMark {
        let reserved = self.family.reserved.iter().map(|token| (*token).to_owned()).collect();
        ImageMark { text: self.family.mark.to_owned(), reserved }
    }

    /// Decodes the images and finds the tokens that the model will read.
    pub(crate) fn take_in(
        &self,
        vocabulary: &Vocabulary,
        text: String,
        add_special: bool,
        images: &[Image],
    ) -> Result<(Vec<u32>, Option<Seen>), EngineError> {
        let ids = self.tokens_of(vocabulary, &text, add_special, images.len())?;
        if images.is_empty() {
            return Ok((ids, None));
        }
        let decode = |(place, image)| fit::decode(place, image).map(|image| fit::signed(&image));
        let images = images.iter().enumerate().map(decode).collect::<Result<_, _>>()?;
        // mistral.rs adds no opening token of its own here.
        let text = if add_special { vocabulary.opened(text) } else { text };
        Ok((ids, Some(Seen { text, images })))
    }

    /// The tokens that the model will read for `text` with so many images.
    pub(crate) fn tokens_of(
        &self,
        vocabulary: &Vocabulary,
        text: &str,
        add_special: bool,
        images: usize,
    ) -> Result<Vec<u32>, EngineError> {
        self.check(text, images)?;
        let (before, token, after) = self.family.expansion;
        let expansion = format!("{before}{}{after}", token.repeat(self.tokens));
        vocabulary.ids(&text.replace(self.family.mark, &expansion), add_special)
    }

    /// Sees that token ids tell of no images: there are none with them.
    pub(crate) fn check_tokens(&self, vocabulary: &Vocabulary, tokens: &[u32]) -> Result<(), EngineError> {
        let reserved: Vec<u32> = self.family.reserved.iter().filter_map(|token| vocabulary.id_of(token)).collect();
        match tokens.iter().find(|id| reserved.contains(id)) {
            None => Ok(()),
            Some(id) => {
                let message = format!("token {id} stands for an image, and there is none");
                Err(EngineError::Invalid { field: "input", message })
            }
        }
    }

    fn check(&self, text: &str, images: usize) -> Result<(), EngineError> {
        let invalid = |message: String| Err(EngineError::Invalid { field: "images", message });
        if images > MAX_IMAGES {
            return invalid(format!("there are {images} images; at most {MAX_IMAGES} are taken"));
        }
        let places = text.matches(self.family.mark).count();
        if places != images {
            return invalid(format!("the text has places for {places} images, and there are {images}"));
        }
        let stray = |token: &&&str| text.matches(**token).count() != images * self.family.mark.matches(**token).count();
        match self.family.reserved.iter().find(stray) {
            Some(token) => invalid(format!("`{token}` may stand in a text only where an image is")),
            None => Ok(()),
        }
    }
}
