//! What there is in nodes, links and interfaces.

use rm_core::Result;

use super::part::{Extra, Part, Said, Text, part};
use crate::geni::xml::{Item, Line, Pull, Tag, Writer};

part! {
    /// An address.
    Ip = "ip" {
        attributes {
            /// The address.
            address = "address",
            /// The mask, `255.255.255.0`.
            netmask = "netmask",
            /// `ipv4` or `ipv6`.
            kind = "type",
        }
        parts {}
    }
}

part! {
    /// How to log in to a node and what is run on it.
    Services = "services" {
        attributes {}
        parts {
            /// Ways to log in.
            logins: Login,
            /// Archives to unpack.
            installs: Install,
            /// Commands to run.
            executes: Execute,
        }
    }
}

part! {
    /// A way to log in.
    Login = "login" {
        attributes {
            /// `ssh-keys`.
            authentication = "authentication",
            /// Where.
            hostname = "hostname",
            /// The port.
            port = "port",
            /// As whom.
            username = "username",
        }
        parts {
            /// Who can.
            users: User,
        }
    }
}

part! {
    /// Someone who can log in.
    User = "user" {
        attributes {
            /// The name of the account.
            name = "name",
        }
        parts {}
    }
}

part! {
    /// An archive to unpack.
    Install = "install" {
        attributes {
            /// Where it is fetched from, by the node.
            url = "url",
            /// The folder it is unpacked into.
            install_path = "install_path",
            /// What it is.
            file_type = "file_type",
        }
        parts {}
    }
}

part! {
    /// A command to run.
    Execute = "execute" {
        attributes {
            /// `sh` or another shell.
            shell = "shell",
            /// The command.
            command = "command",
        }
        parts {}
    }
}

part! {
    /// What a node has to do with another one.
    Relation = "relation" {
        attributes {
            /// What.
            kind = "type",
            /// The other node, by the experimenter's name.
            client_id = "client_id",
            /// The other node, by the aggregate's name.
            component_id = "component_id",
        }
        parts {}
    }
}

part! {
    /// A place on Earth.
    Location = "location" {
        attributes {
            /// The country.
            country = "country",
            /// Degrees to the east.
            longitude = "longitude",
            /// Degrees to the north.
            latitude = "latitude",
        }
        parts {}
    }
}

part! {
    /// A type of hardware.
    HardwareType = "hardware_type" {
        attributes {
            /// Its name.
            name = "name",
        }
        parts {}
    }
}

part! {
    /// A type of sliver.
    SliverType = "sliver_type" {
        attributes {
            /// Its name.
            name = "name",
            /// Whether it is what is given where none is asked for.
            default = "default",
        }
        parts {
            /// What is put on it.
            disk_images: DiskImage,
        }
    }
}

part! {
    /// An image.
    DiskImage = "disk_image" {
        attributes {
            /// Its name, mostly a URN.
            name = "name",
            /// Which operating system.
            os = "os",
            /// Which version of it.
            version = "version",
            /// What it is for.
            description = "description",
            /// Whether it is what is given where none is asked for.
            default = "default",
            /// Where it is fetched from.
            url = "url",
        }
        parts {}
    }
}

part! {
    /// A name in the domain name system.
    Host = "host" {
        attributes {
            /// The name.
            name = "name",
        }
        parts {}
    }
}

part! {
    /// Whether something can be had.
    Available = "available" {
        attributes {
            /// `true` or `false`.
            now = "now",
        }
        parts {}
    }
}

part! {
    /// Marks a component that stands for many.
    Cloud = "cloud" {
        attributes {}
        parts {}
    }
}

part! {
    /// What is measured at an interface.
    Monitoring = "monitoring" {
        attributes {
            /// Whether the experimenters' traffic is.
            user_traffic = "user_traffic",
        }
        parts {}
    }
}

part! {
    /// An aggregate that has a part in a link.
    ComponentManager = "component_manager" {
        attributes {
            /// Its URN.
            name = "name",
        }
        parts {}
    }
}

part! {
    /// An interface that a link connects.
    InterfaceRef = "interface_ref" {
        attributes {
            /// What the experimenter calls it.
            client_id = "client_id",
            /// What the aggregate calls it.
            component_id = "component_id",
            /// Whose it is.
            component_manager_id = "component_manager_id",
            /// The URN of the sliver.
            sliver_id = "sliver_id",
        }
        parts {}
    }
}

part! {
    /// How a link is in one direction.
    Property = "property" {
        attributes {
            /// From this interface,
            source_id = "source_id",
            /// to this one.
            dest_id = "dest_id",
            /// In kbit/s.
            capacity = "capacity",
            /// In milliseconds.
            latency = "latency",
            /// As a fraction of 1.
            packet_loss = "packet_loss",
        }
        parts {}
    }
}

part! {
    /// What a link is made of.
    LinkType = "link_type" {
        attributes {
            /// Its name.
            name = "name",
            /// Its class.
            class = "class",
        }
        parts {}
    }
}

part! {
    /// A component that a link goes over.
    ComponentHop = "component_hop" {
        attributes {
            /// Which.
            component_id = "component_id",
        }
        parts {
            /// Whose it is.
            component_managers: ComponentManager,
            /// Where the link goes in and out.
            interface_refs: InterfaceRef,
        }
    }
}

part! {
    /// A component that another aggregate manages.
    ExternalRef = "external_ref" {
        attributes {
            /// Which.
            component_id = "component_id",
            /// Whose it is.
            component_manager_id = "component_manager_id",
        }
        parts {}
    }
}

part! {
    /// Which hardware makes which slivers of which images.
    TypeRelation = "type_relation" {
        attributes {}
        parts {
            /// Hardware.
            hardware_types: HardwareType,
            /// Slivers.
            sliver_types: SliverType,
            /// Images.
            disk_images: DiskImage,
        }
    }
}
