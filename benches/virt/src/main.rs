//! Lists the domains of a libvirt by the `virt` crate, by a connection that is
//! kept: for each line on standard input once. Tells how many there are and how
//! many nanoseconds it took.

use std::io::BufRead;
use std::time::Instant;

use virt::connect::Connect;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let uri = std::env::args().nth(1).ok_or("a URI of libvirt, please")?;
    let connect = Connect::open(Some(&uri))?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let begun = Instant::now();
        let domains = connect.list_all_domains(0)?;
        let names = domains.iter().map(|domain| domain.name());
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let took = begun.elapsed();
        println!("{} {}", names.len(), took.as_nanos());
    }
    Ok(())
}
