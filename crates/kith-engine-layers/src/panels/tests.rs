//! What `panels` promises, sentence by sentence.

use super::remove_stale_panels;
use crate::{
    made::Made,
    stage::{Next, Reads, Stage, StageOptions},
};
use kith_kernels::Format;
use std::{fs, path::Path};

fn load(model: &Path, folder: &Path) -> Stage {
    let options = StageOptions { threads: 2, panels: Some(folder.to_owned()), ..StageOptions::default() };
    Stage::load(model, &options).unwrap()
}

fn bits(stage: &mut Stage) -> Vec<u32> {
    let mut track = crate::Track::new();
    stage.step(Reads::Tokens(&[1, 2, 3]), &mut [Next { track: &mut track, tokens: 3 }], &|| false).unwrap();
    stage.logits(&[2]).unwrap().iter().map(|logit| logit.to_bits()).collect()
}

#[test]
fn the_second_start_maps_what_the_first_laid_out() {
    let folder = tempfile::tempdir().unwrap();
    let panels = folder.path().join("panels");
    for name in ["llama with experts", "phi3"] {
        let model = Made::new(name, Format::Q4_1, 1).file();
        let mut first = load(model.path(), &panels);
        first.unsaved().expect("nothing was kept yet").save(&|| false).unwrap();
        let mut second = load(model.path(), &panels);
        assert!(second.unsaved().is_none(), "all was found");
        assert_eq!(bits(&mut first), bits(&mut second));
    }
    assert!(fs::read_dir(&panels).unwrap().all(|file| file.unwrap().path().extension().unwrap() == "panels"));
}

#[test]
fn a_file_that_is_cut_or_of_another_model_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let model = Made::new("qwen2", Format::Q8_0, 1).file();
    load(model.path(), folder.path()).unsaved().unwrap().save(&|| false).unwrap();
    let kept = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&kept).unwrap();
    for length in [0, 7, 40, whole.len() / 2, whole.len() - 1] {
        fs::write(&kept, &whole[..length]).unwrap();
        assert!(load(model.path(), folder.path()).unsaved().is_some(), "{length} bytes");
    }
    for at in [0, 8, 16, 24, 48, 64] {
        let mut wrong = whole.clone();
        wrong[at] ^= 1;
        fs::write(&kept, &wrong).unwrap();
        assert!(load(model.path(), folder.path()).unsaved().is_some(), "byte {at}");
    }
    fs::write(&kept, &whole).unwrap();
    assert!(load(model.path(), folder.path()).unsaved().is_none());
    // The model file is replaced.
    fs::write(model.path(), Made::new("qwen2", Format::Q8_0, 2).bytes()).unwrap();
    assert!(load(model.path(), folder.path()).unsaved().is_some());
}

#[test]
fn a_writer_that_is_to_give_up_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let model = Made::new("llama", Format::Q8_0, 4).file();
    assert!(!load(model.path(), folder.path()).unsaved().unwrap().save(&|| true).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(load(model.path(), folder.path()).unsaved().is_some());
}

#[test]
fn files_of_models_that_are_gone_are_removed_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let panels = folder.path().join("panels");
    assert_eq!(remove_stale_panels(&panels).unwrap(), 0, "there is no folder yet");
    let (stays, goes) = (Made::new("llama", Format::Q8_0, 1).file(), Made::new("llama", Format::Q8_0, 2).file());
    for model in [&stays, &goes] {
        load(model.path(), &panels).unsaved().unwrap().save(&|| false).unwrap();
    }
    for (name, content) in
        [("cut.panels", &b"KITHPAN2 and then nothing of what belongs here"[..]), ("notes.txt", b"mine"), ("new.panels.part", b"")]
    {
        fs::write(panels.join(name), content).unwrap();
    }
    drop(goes);
    assert!(remove_stale_panels(&panels).unwrap() > 0);
    let mut left: Vec<String> =
        fs::read_dir(&panels).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    let own = format!("{}.0-7-3.panels", stays.path().file_name().unwrap().to_str().unwrap());
    let mut wanted = vec![own, "new.panels.part".into(), "notes.txt".into()];
    wanted.sort();
    assert_eq!(left, wanted);
    fs::File::options().write(true).open(panels.join("new.panels.part")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    // The model at the same place is another one now.
    fs::write(stays.path(), Made::new("llama", Format::Q8_0, 3).bytes()).unwrap();
    assert!(remove_stale_panels(&panels).unwrap() > 0);
    assert_eq!(fs::read_dir(&panels).unwrap().count(), 1);
}
