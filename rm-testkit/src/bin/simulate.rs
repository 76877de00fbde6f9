//! tmp
use rm_testkit::simulate::*;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let t = std::time::Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    match args[1].as_str() {
        "one" => { let r = replay(args[2].parse().unwrap_or(0), true); println!("{r:#?}"); }
        "all" => {
            let e = exhaustive(args.len() > 2, &mut |a, b, c| { if a % 1000 == 0 { println!("{a}/{b} {c} {:?}", t.elapsed()); } });
            for (f, b) in e.failed.iter().take(30) { println!("{f}: {b:#?}"); }
            println!("{} failed; {:?} {:?} idle {} carried {} {:?}", e.failed.len(), e.singles, e.pairs, e.idle, e.carried, e.coverage);
        }
        n => {
            let n: u64 = n.parse().unwrap_or(1);
            let r = random(0, n, &mut |_, _| {});
            for (s, b) in r.failed.iter().take(20) { println!("{s}: {b:#?}"); }
            for k in Kind::ALL { println!("{:28} {:6.1} % {}", k.as_str(), 100.0 * r.within.of(k) as f64 / n as f64, r.times.of(k)); }
            println!("{n}: {:?} failed {} ops {} res {} leases {} quar {} engines {} polls {}", t.elapsed(), r.failed.len(), r.operations, r.resources, r.leases, r.quarantined, r.engines, r.polls / n);
        }
    }
    println!("{:?}", t.elapsed());
}
