//! Kills at random moments while slices are made, renewed and deleted through
//! GENI's door. After each one the containers on the host are those of the
//! slivers that the aggregate tells.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::aggregate::{Testbed, Told};
use crate::daemon::Daemon;
use crate::dice::{Dice, age};
use crate::eyes::hosts;
use crate::ground::{Ground, facts};
use crate::life::{Life, Step};
use crate::number;

/// Slices that live at the same time: by which version each is called, and how
/// many steps it goes before the first kill. The first two go through all of
/// theirs; the third is then never in step with the second.
const SLICES: [(u8, u32); 3] = [(2, 3), (3, 5), (3, 2)];

/// How long the host may take to come to what the aggregate tells.
const TENTHS: u32 = 3000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_random_moments_lose_and_leak_no_sliver() {
    let test = "kills_at_random_moments_lose_and_leak_no_sliver";
    let Some(lab) = needs::lab(test, "RM_LAB_LXC") else {
        return;
    };
    let path = PathBuf::from(facts(&lab)["lxcpath"].as_str().unwrap());
    let kills = number("RM_KILLS", 8);
    let mut dice = Dice::of_this_run(kills);
    let folder = tempfile::TempDir::new().unwrap();
    let testbed = Testbed::make(folder.path());
    let section = testbed.section();
    let mut daemon = Daemon::first_with(folder.path(), &Ground::Lxc(lab), &section).await;

    // What all of its nodes, and nobody else's in this lab, are called by.
    let own = format!("g{}", std::process::id());
    let mut lives: Vec<Life> = (0..)
        .zip(SLICES)
        .map(|(n, (version, _))| {
            let slice = testbed.slice(&format!("s{n}"));
            Life::new(slice, version, format!("{own}-{n}"))
        })
        .collect();
    let usual = undisturbed(&mut lives, &path, &own).await;

    let began = Instant::now();
    let mut hit: BTreeMap<(Step, bool, &str), u32> = BTreeMap::new();
    for kill in 1..=kills {
        let begun = Instant::now();
        let doing: Vec<_> = lives.iter_mut().map(Life::begin).collect();
        sleep(moment(&mut dice, &lives, &usual)).await;
        for (life, doing) in lives.iter().zip(&doing) {
            let moment = (life.step(), doing.is_finished(), age(begun.elapsed()));
            *hit.entry(moment).or_default() += 1;
        }
        daemon.kill_and_start().await;
        for doing in doing {
            doing.await.unwrap();
        }
        let mut told = Vec::new();
        for life in &lives {
            told.extend(life.settled().await);
        }
        comes_to(&path, &own, &told).await;
        lives.iter_mut().for_each(Life::go_on);
        if kill % 10 == 0 || kill == kills {
            println!("{kill} of {kills} kills after {:.0?}", began.elapsed());
        }
    }
    let took = began.elapsed();
    for life in lives.iter_mut().filter(|life| !life.is_new()) {
        life.skip_to_the_end();
        life.begin().await.unwrap();
        life.settled().await;
    }
    comes_to(&path, &own, &[]).await;

    let whole: u32 = lives.iter().map(|life| life.whole).sum();
    println!(
        "{kills} kills in {took:.0?}: {whole} whole lives of slices, after each kill the containers \
         of the slivers that were told, none left over"
    );
    println!("what was under way when killed, since when:");
    for ((step, answered, age), times) in &hit {
        let answered = match answered {
            true => "answered",
            false => "not answered",
        };
        println!("  {:12} {answered:12} {age:12} {times:5}", step.name());
    }
}

/// Until a step is answered, and until the host has what it leads to.
type Times = BTreeMap<Step, (Duration, Duration)>;

/// How long each step takes when nobody interferes.
async fn undisturbed(lives: &mut [Life], path: &Path, own: &str) -> Times {
    let mut times = Times::new();
    for (life, (_, steps)) in lives.iter_mut().zip(SLICES) {
        for _ in 0..steps {
            let begun = Instant::now();
            life.begin().await.unwrap();
            let answered = begun.elapsed();
            let told = life.settled().await;
            // Nobody else has anything yet, or any more.
            comes_to(path, own, &told).await;
            times.insert(life.step(), (answered, begun.elapsed()));
            life.go_on();
        }
    }
    for (step, (answered, whole)) in &times {
        let name = step.name();
        println!("undisturbed: {name} answered after {answered:.1?}, done after {whole:.1?}");
    }
    times
}

/// When the next kill comes: half of them before one of the steps is answered,
/// the others before it is done, as long as these usually take.
fn moment(dice: &mut Dice, lives: &[Life], usual: &Times) -> Duration {
    let any = dice.below(u64::try_from(lives.len()).unwrap());
    let step = lives[usize::try_from(any).unwrap()].step();
    let (answered, whole) = usual[&step];
    let within = match dice.below(2) {
        0 => answered,
        _ => whole,
    };
    let micros = u64::try_from(within.as_micros()).unwrap();
    Duration::from_micros(dice.below(micros.max(1)))
}

/// Waits until the host has exactly the containers of these slivers, each as it
/// should be; what was deleted may take a while to go.
async fn comes_to(path: &Path, own: &str, told: &[Told]) {
    let mut should: Vec<(String, String)> = told
        .iter()
        .filter_map(|one| {
            let state = match &*one.operational {
                "geni_ready" => "RUNNING",
                "geni_notready" => "STOPPED",
                _ => return None,
            };
            let name = one.node.strip_prefix(&format!("{own}-")).unwrap();
            Some((name.to_owned(), state.to_owned()))
        })
        .collect();
    should.sort_unstable();
    let mut there = Vec::new();
    for _ in 0..TENTHS {
        there = hosts(path, own);
        if there == should {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("on the host there are {there:?}, and the aggregate tells {told:?}");
}
