//! `optoggles serve`.

mod callbacks;
mod isolation;
mod late;
mod readiness;
mod resync;
mod rivals;
mod routes;
mod shutdown;
mod side_by_side;
mod startup;
mod targets;
