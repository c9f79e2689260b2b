//! `optoggles serve`.

mod callbacks;
mod isolation;
mod readiness;
mod resync;
mod retries;
mod routes;
mod shutdown;
mod side_by_side;
mod startup;
