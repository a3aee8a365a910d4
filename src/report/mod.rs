//! What people look at: the terminal table, plots, the report page, and the statistics behind them.
